package media

import (
	"bytes"
	"context"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits bound what one file may cost. A zero field is the default.
type Limits struct {
	Pixels      int64         // of one picture or frame; default 64 million
	FramePixels int64         // frames × pixels of an animation; default 256 million
	Memory      int64         // bytes of an engine; default 512 MiB
	Output      int64         // bytes of one result; default 16 MiB
	Time        time.Duration // for a picture; default 10 s
	VideoTime   time.Duration // for what needs a video or audio decoder; default 20 s
}

func (l Limits) withDefaults() Limits {
	set(&l.Pixels, 64_000_000)
	set(&l.FramePixels, 256_000_000)
	set(&l.Memory, 512<<20)
	set(&l.Output, 16<<20)
	set(&l.Time, 10*time.Second)
	set(&l.VideoTime, 20*time.Second)
	return l
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Config says what Find looks for.
type Config struct {
	Limits Limits
	// Temp is the folder for what lives as long as one call; "": the system's.
	Temp string
	// Without are programs not to be used though they are there: "vips", "ffmpeg".
	Without []string
}

// Engines makes pictures of files. It is safe for concurrent use: each call runs
// processes of its own, one at a time, and how many calls there are at once is
// the caller's choice.
type Engines struct {
	limits                        Limits
	temp                          string
	vips, vipsthumbnail, vipshead string // paths; empty: not to be used
	ffmpeg, ffprobe               string
	loaders                       []string // classes of libvips
	demuxers                      []string // of ffmpeg
	report                        Report
}

// Report says what Find found, for an operator.
type Report struct {
	Vips    string   // version; empty if it is not used
	FFmpeg  string   // version; empty if it is not used
	Formats []string // names of formats that get pictures
	Missing []string // what is not there, and what that costs; one sentence each
}

// Find looks for engines and asks them what they can do. It finds none where they
// cannot be confined: then, as without them, the fallbacks remain, which read
// JPEG, PNG, GIF, WebP, BMP and the preview in a camera's raw file, and write
// JPEG. An error is only that of ctx.
func Find(ctx context.Context, config Config) (*Engines, error) {
	m := &Engines{limits: config.Limits.withDefaults(), temp: config.Temp}
	if why := confinementMissing(); why != "" {
		m.report.Missing = append(m.report.Missing, "Thumbnails are made of JPEG, PNG, GIF, WebP and BMP only: "+why+".")
	} else {
		var wg sync.WaitGroup
		var ofVips, ofFFmpeg []string
		wg.Go(func() { ofVips = m.findVips(ctx, config) })
		wg.Go(func() { ofFFmpeg = m.findFFmpeg(ctx, config) })
		wg.Wait()
		m.report.Missing = append(ofVips, ofFFmpeg...)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, f := range formats {
		if m.reads(f) {
			m.report.Formats = append(m.report.Formats, f.Name)
		}
	}
	return m, nil
}

// Report returns what Find found.
func (m *Engines) Report() Report {
	r := m.report
	r.Formats, r.Missing = slices.Clone(r.Formats), slices.Clone(r.Missing)
	return r
}

// reads says whether files of a format can get a picture.
func (m *Engines) reads(f Format) bool {
	return f.inGo || f.loader != "" && m.loads(f) || f.demuxer != "" && m.demuxes(f)
}

func (m *Engines) loads(f Format) bool { return m.vips != "" && slices.Contains(m.loaders, f.loader) }

func (m *Engines) demuxes(f Format) bool {
	first, _, _ := strings.Cut(f.demuxer, ",")
	return m.ffmpeg != "" && f.demuxer != "" && slices.Contains(m.demuxers, first)
}

var (
	vipsLoader    = regexp.MustCompile(`\((\w+load)\),`)
	ffmpegDemuxer = regexp.MustCompile(`(?m)^ D[E. ][d ]?\s*(\S+)`)
	versionNumber = regexp.MustCompile(`\d+\.\d[\w.:+~-]*`)
)

func (m *Engines) findVips(ctx context.Context, config Config) (missing []string) {
	const cost = "no pictures of TIFF, HEIC, AVIF, SVG and PDF files, and no WebP without ffmpeg"
	paths, ok := findPrograms(config, "vips", "vipsthumbnail", "vipsheader")
	if !ok {
		return []string{"libvips-tools is not installed: " + cost + "."}
	}
	version, err := m.ask(ctx, paths[0], "--version")
	if err != nil {
		return []string{"vips does not run (" + err.Error() + "): " + cost + "."}
	}
	list, err := m.ask(ctx, paths[0], "-l", "foreign")
	if err != nil {
		return []string{"vips does not list its formats (" + err.Error() + "): " + cost + "."}
	}
	for _, match := range vipsLoader.FindAllSubmatch(list, -1) {
		m.loaders = append(m.loaders, string(match[1]))
	}
	m.vips, m.vipsthumbnail, m.vipshead = paths[0], paths[1], paths[2]
	m.report.Vips = string(versionNumber.Find(version))
	for _, f := range formats {
		if f.loader != "" && !m.loads(f) {
			missing = append(missing, "This libvips has no reader for "+f.Name+".")
		}
	}
	return missing
}

func (m *Engines) findFFmpeg(ctx context.Context, config Config) (missing []string) {
	const cost = "no pictures of videos and of songs, no lengths, no tags"
	paths, ok := findPrograms(config, "ffmpeg", "ffprobe")
	if !ok {
		return []string{"ffmpeg is not installed: " + cost + "."}
	}
	version, err := m.ask(ctx, paths[0], "-hide_banner", "-version")
	if err != nil {
		return []string{"ffmpeg does not run (" + err.Error() + "): " + cost + "."}
	}
	list, err := m.ask(ctx, paths[0], "-hide_banner", "-demuxers")
	if err != nil {
		return []string{"ffmpeg does not list its formats (" + err.Error() + "): " + cost + "."}
	}
	for _, match := range ffmpegDemuxer.FindAllSubmatch(list, -1) {
		first, _, _ := bytes.Cut(match[1], []byte(","))
		m.demuxers = append(m.demuxers, string(first))
	}
	m.ffmpeg, m.ffprobe = paths[0], paths[1]
	m.report.FFmpeg = string(versionNumber.Find(version))
	for _, f := range formats {
		if f.demuxer != "" && !m.demuxes(f) {
			missing = append(missing, "This ffmpeg has no reader for "+f.Name+".")
		}
	}
	return missing
}

func findPrograms(config Config, names ...string) (paths []string, ok bool) {
	if slices.Contains(config.Without, names[0]) {
		return nil, false
	}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, false
		}
		paths = append(paths, path)
	}
	return paths, true
}

// ask runs an engine that reads no file.
func (m *Engines) ask(ctx context.Context, command ...string) ([]byte, error) {
	return job{command: command, time: m.limits.VideoTime, output: 1 << 20, memory: uint64(m.limits.Memory)}.run(ctx)
}
