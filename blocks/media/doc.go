// Package media makes pictures of files: thumbnails, moving previews, and the
// facts that a gallery shows beside them.
//
// It turns a file on local disk into bytes. It knows no blocks, no HTTP and no
// database; who may see a file, when its pictures are made and where they are kept
// is decided elsewhere. A program that uses it calls RunConfined first of all, and
// Find once at its start.
//
// What a file is, its bytes say (Sniff), never its name. The head of an image is
// read in this process by small readers of our own, which hold few bytes, count
// what they go through and follow nothing twice: so a bomb is refused by its
// dimensions before a decoder sees it. Decoding is the work of libvips (images,
// PDF) and ffmpeg (video, audio, BMP, APNG), each run in a process that ends with
// its file. Without them the decoders of Go read JPEG, PNG, GIF, WebP and BMP.
//
// # Confinement
//
// A decoder that has been taken over can do this much: use the CPU for 10 seconds
// (20 for videos) and 512 MiB of memory, read programs, libraries and fonts, and
// write its picture. It opens no other file (Landlock), has no sockets and reaches
// no other process (seccomp), gets nothing of our environment, and its process
// group is killed when its time is over or ours is. The server executes itself
// under another name to set this up between fork and exec: see RunConfined.
//
// # Decisions
//
// Landlock and seccomp, not bubblewrap: they need no program, no user namespaces
// (which containers refuse) and no mounts. Where the kernel has no Landlock (before
// 5.13), no engine is used at all, and Report says so: ffmpeg on a stranger's file
// is not worth the risk. It would change if many people ran such kernels.
//
// One process for each picture, not a pool of long-lived workers: a decoder that
// was broken into sees one file. Starting it costs some 20 ms.
//
// ffmpeg is told the one demuxer that belongs to the sniffed format, and may use no
// other: a playlist in an MP4's clothes is a damaged MP4. libvips reads from stdin,
// so that there is no folder beside the file, and of the formats in which most
// pictures come it uses only those readers that its authors trust.
//
// Several sizes come from one decoding: libvips shrinks to the largest while it
// loads, this process makes the others of it, and one more process writes them all
// as WebP. JPEGs this process writes itself.
//
// A camera's raw data are not developed; the preview beside them is shown. A broken
// colour profile or EXIF structure costs nothing but itself. What can be shown of a
// truncated picture is shown.
//
// A JPEG 2000 may come out smaller than asked for: libvips 8.14 takes it from one of
// the smaller resolutions inside.
//
// Sources: EXIF 2.32, TIFF 6.0, ISO/IEC 14496-12 and 23008-12, the PNG, GIF89a and
// WebP specifications, https://evanw.github.io/thumbhash.
package media
