package blocks

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/richtext"
)

// An exported heap is a zip archive:
//
//   - heapsync.json names the format, the heap and the time;
//   - states/<block id>.yjs is a block's document as an update in format V1, which every
//     Yjs applies;
//   - notes/<title>.md is what is to be read of it, as Markdown; links to other blocks
//     are links to their notes;
//   - files/<hash> are the bytes of a file, under their SHA-256;
//   - blocks.jsonl has a line for each block: what it is, its relations, its file, its
//     entries.
//
// To import it only the states and the files are read, and in blocks.jsonl the types of
// blocks and which files they have.

// exportFormat is the version of the above.
const exportFormat = 1

type exportManifest struct {
	Format     string `json:"format"`
	Version    int    `json:"version"`
	Heap       HeapID `json:"heap_id"`
	Name       string `json:"name"`
	CreatedAt  int64  `json:"created_at"`
	ExportedAt int64  `json:"exported_at"`
}

// exportPage is how many heads are listed at once.
const exportPage = 500

// Export writes a zip archive of the heap, as far as it is not deleted, for a member.
// begin is told a name for it and returns where it goes; if it was not called, nothing
// was written. A block that is written meanwhile is exported as of some moment of it.
func (in *Instance) Export(ctx context.Context, user UserID, heap HeapID, begin func(name string) io.Writer) error {
	if err := in.Require(ctx, user, heap, RoleViewer); err != nil {
		return err
	}
	h, err := in.store.Heap(ctx, heap)
	if err != nil {
		return err
	}
	name := fileName(h.Name)
	if name == "" {
		name = string(heap)
	}
	ex := exporter{Instance: in, zip: zip.NewWriter(begin(name + ".zip")), names: map[string]int{}, notes: map[BlockID]string{}, done: map[Ref]bool{}, sent: map[Hash]bool{}}
	ex.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	ex.list.open()
	manifest, err := json.MarshalIndent(exportManifest{
		"heapsync heap", exportFormat, heap, h.Name, h.CreatedAt, in.now().UnixMilli(),
	}, "", "\t")
	if err != nil {
		return err
	}
	if err := ex.write(manifestName, in.now().UnixMilli(), append(manifest, '\n')); err != nil {
		return err
	}
	if err := ex.nameNotes(ctx, heap); err != nil {
		return err
	}
	if err := ex.each(ctx, heap, ex.block); err != nil {
		return err
	}
	if err := ex.list.writeTo(ex.zip, blocksName); err != nil {
		return err
	}
	return ex.zip.Close()
}

// packedEntry is an entry of an archive that is written at its end, and packed in memory
// until then.
type packedEntry struct {
	packed  bytes.Buffer
	deflate *flate.Writer
	crc     uint32
	size    uint64
}

func (p *packedEntry) open() {
	p.deflate, _ = flate.NewWriter(&p.packed, flate.BestSpeed) // fails for an unknown level only
}

func (p *packedEntry) encode(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	p.crc = crc32.Update(p.crc, crc32.IEEETable, line)
	p.size += uint64(len(line))
	_, err = p.deflate.Write(line)
	return err
}

func (p *packedEntry) writeTo(z *zip.Writer, name string) error {
	if err := p.deflate.Close(); err != nil {
		return err
	}
	w, err := z.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Deflate, CRC32: p.crc,
		CompressedSize64: uint64(p.packed.Len()), UncompressedSize64: p.size,
	})
	if err != nil {
		return err
	}
	_, err = p.packed.WriteTo(w)
	return err
}

// exporter is one export on its way.
type exporter struct {
	*Instance
	zip   *zip.Writer
	list  packedEntry
	names map[string]int     // of notes, lower case: how many would like to have it
	notes map[BlockID]string // the names that blocks have
	done  map[Ref]bool       // a block that is written meanwhile is listed again
	sent  map[Hash]bool      // files whose bytes are written
}

// write adds an entry that was last changed at a time (ms).
func (ex *exporter) write(name string, at int64, content []byte) error {
	w, err := ex.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.UnixMilli(at).UTC()})
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// each calls fn for each block of the heap that is not deleted, once.
func (ex *exporter) each(ctx context.Context, heap HeapID, fn func(context.Context, Head) error) error {
	clear(ex.done)
	for after := Seq(0); ; {
		page, err := ex.store.Changed(ctx, heap, after, 0, exportPage)
		if err != nil {
			return err
		}
		for _, head := range page.Heads {
			if head.DeletedAt != 0 || ex.done[head.Ref] {
				continue
			}
			ex.done[head.Ref] = true
			if err := fn(ctx, head); err != nil {
				return fmt.Errorf("export %s: %w", head.Key, err)
			}
		}
		if after = page.Next; !page.More {
			return nil
		}
	}
}

// nameNotes names the notes of all blocks whose titles the index knows, so that links
// find them.
func (ex *exporter) nameNotes(ctx context.Context, heap HeapID) error {
	if ex.index == nil {
		return nil
	}
	var ids []BlockID
	name := func() error {
		titles, err := ex.index.Titles(ctx, heap, ids)
		if err != nil {
			return ex.indexError(err)
		}
		for _, id := range ids {
			if title, ok := titles[id]; ok {
				ex.notes[id] = ex.noteName(title)
			}
		}
		ids = ids[:0]
		return nil
	}
	err := ex.each(ctx, heap, func(_ context.Context, head Head) error {
		if ids = append(ids, head.Key.Block); len(ids) < exportPage {
			return nil
		}
		return name()
	})
	if err == nil {
		err = name()
	}
	return err
}

func (ex *exporter) block(ctx context.Context, head Head) error {
	line := exportedBlock{BlockID: head.Key.Block, Type: head.Type}
	var state []byte
	var apps []byte
	var note string
	err := ex.View(ctx, head.Key, func(head Head, doc *ydoc.Doc) error {
		state = doc.Encode(ydoc.V1)
		p := project(head, doc, ex.now().UnixMilli())
		line.Title, line.Parent = p.Title, p.Parent
		line.CreatedAt, line.UpdatedAt, line.TrashedAt = p.CreatedAt, p.UpdatedAt, p.TrashedAt
		for _, r := range p.Relations {
			line.Relations = append(line.Relations, exportRelation(r))
		}
		if note, apps = p.Text, p.Apps; formatsFit(doc) == nil {
			note = markdownOf(doc)
		}
		return nil
	})
	switch {
	case errors.Is(err, ErrDeleted), errors.Is(err, ErrNotFound):
		return nil // meanwhile
	case errors.Is(err, ErrQuarantined), errors.Is(err, ErrTooLarge):
		line.Error = err.Error()
		return ex.list.encode(line)
	case err != nil:
		return err
	}
	line.State = statesFolder + string(head.Key.Block) + stateSuffix
	if err := ex.write(line.State, line.UpdatedAt, state); err != nil {
		return err
	}
	if line.File, err = ex.file(ctx, head.Key, line.UpdatedAt); errors.Is(err, ErrNotFound) {
		line.Error = "the bytes of its file are missing"
	} else if err != nil {
		return err
	}
	name, ok := ex.notes[line.BlockID]
	if !ok {
		name = ex.noteName(line.Title)
	}
	line.Note = notesFolder + name + ".md"
	front, err := frontMatterOf(line, apps)
	if err != nil {
		return err
	}
	if err := ex.write(line.Note, line.UpdatedAt, append(front, ex.relink(note)...)); err != nil {
		return err
	}
	return ex.list.encode(line)
}

var blockLinks = regexp.MustCompile(`\]\(` + blockLink + `([A-Za-z0-9_-]{1,64})\)`)

// relink has links to blocks lead to their notes.
func (ex *exporter) relink(note string) string {
	return blockLinks.ReplaceAllStringFunc(note, func(link string) string {
		name, ok := ex.notes[BlockID(link[len("]("+blockLink):len(link)-1])]
		if !ok {
			return link
		}
		return "](" + (&url.URL{Path: name + ".md"}).EscapedPath() + ")"
	})
}

// file writes the bytes of the block's file, unless they are written. It returns nil if
// the block has none, and ErrNotFound too if the bytes are missing.
func (ex *exporter) file(ctx context.Context, key BlockKey, at int64) (*exportedFile, error) {
	if ex.files.blobs == nil {
		return nil, nil
	}
	f, err := ex.store.FileOf(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	line := &exportedFile{Hash: f.Hash.String(), Name: f.Name, Size: f.Size, Mime: f.Mime, Entry: filesFolder + f.Hash.String()}
	if ex.sent[f.Hash] {
		return line, nil
	}
	blob, err := ex.files.blobs.Open(ctx, f.Hash)
	if f.Placed && (errors.Is(err, ErrFileOffline) || errors.Is(err, ErrFileChanged) || errors.Is(err, ErrNotFound)) {
		line.Entry = "" // its bytes are not to be had now
		return line, nil
	}
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	// Media do not get smaller, and stored they can be read where they lie.
	w, err := ex.zip.CreateHeader(&zip.FileHeader{Name: line.Entry, Method: zip.Store, Modified: time.UnixMilli(at).UTC()})
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(w, blob)
	if errors.Is(err, ErrFileChanged) { // an import will see that the bytes are others
		return line, nil
	}
	if err != nil || n != f.Size {
		return nil, fmt.Errorf("blob %s has %d bytes, not %d: %w", f.Hash, n, f.Size, errors.Join(err, ErrCorrupt))
	}
	ex.sent[f.Hash] = true
	return line, nil
}

// markdownOf returns what is to be read in a document: its XML roots, else its texts.
func markdownOf(doc *ydoc.Doc) string {
	var xml, text strings.Builder
	for name, root := range doc.Roots() {
		if name == aboutRoot {
			continue
		}
		switch root.Ref() {
		case ydoc.TypeXMLFragment, ydoc.TypeXMLElement:
			xml.WriteString(richtext.Markdown(root))
		case ydoc.TypeText, ydoc.TypeXMLText:
			text.WriteString(richtext.Markdown(root))
		}
	}
	if xml.Len() > 0 {
		return xml.String()
	}
	return text.String()
}

// frontMatterOf is what a note begins with: what it began with when it was imported, and
// what it is.
func frontMatterOf(b exportedBlock, apps []byte) ([]byte, error) {
	var known struct {
		FrontMatter map[string]any `json:"frontmatter"`
	}
	_ = json.Unmarshal(apps, &known) // of another kind, it is somebody else's
	front := known.FrontMatter
	if front == nil {
		front = map[string]any{}
	}
	front["id"] = string(b.BlockID)
	var related []string
	for _, r := range b.Relations {
		related = append(related, string(r.Target))
	}
	for key, value := range map[string]any{"title": b.Title, "type": b.Type, "parent": string(b.Parent)} {
		if value != "" {
			front[key] = value
		}
	}
	if related != nil {
		front["related"] = related
	}
	text, err := yaml.Marshal(front)
	if err != nil {
		return nil, err
	}
	return []byte("---\n" + string(text) + "---\n\n"), nil
}

// noteName is a name that no other note has; on no system may two differ by case alone.
func (ex *exporter) noteName(title string) string {
	name := fileName(title)
	if name == "" {
		name = "untitled"
	}
	wanted, free := strings.ToLower(name), name
	for ex.names[strings.ToLower(free)] > 0 {
		ex.names[wanted]++
		free = name + " (" + strconv.Itoa(ex.names[wanted]) + ")"
	}
	ex.names[strings.ToLower(free)]++
	return free
}

// maxFileName (characters) leaves room for a number and a suffix everywhere.
const maxFileName = 80

// fileName returns a title as a name that every system takes, "" if nothing is left.
func fileName(title string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(`/\:*?"<>|#^[]`, r):
			return '-'
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, title)
	name = strings.Trim(cut(strings.TrimSpace(name), maxFileName), " .")
	if strings.Trim(name, "- ") == "" {
		return ""
	}
	switch base, _, _ := strings.Cut(strings.ToLower(name), "."); base { // Windows keeps these for itself
	case "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "lpt1", "lpt2", "lpt3":
		return "_" + name
	}
	return name
}
