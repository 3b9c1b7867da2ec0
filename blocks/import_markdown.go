package blocks

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3" // what notes begin with

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/richtext"
)

const (
	// maxNote bounds one Markdown file.
	maxNote = 8 << 20
	// contentRoot is where Tiptap keeps its document by default.
	contentRoot = "default"
	// blockLink begins the address of a link to another block of the heap.
	blockLink = "#block/"
)

// notes are the files of a folder, and the blocks they become.
type notes struct {
	byPath map[string]BlockID // lower case, of Markdown files without suffix
	byName map[string]BlockID // the last part of the path; the shallowest file wins
}

// add notes the block of a file that is called stem.
func (n *notes) add(stem string, id BlockID) {
	stem = strings.ToLower(stem)
	n.byPath[stem] = id
	if _, taken := n.byName[path.Base(stem)]; !taken {
		n.byName[path.Base(stem)] = id
	}
}

// folder makes a note of each Markdown file, a file of each other one, and a folder of
// each folder. Ids are made of the heap and the path, so that the same file is imported
// once.
func (imp *importer) folder(ctx context.Context, entries map[string]*zip.File) error {
	names := slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		if d := strings.Count(a, "/") - strings.Count(b, "/"); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	base := commonFolder(names)
	all := notes{map[string]BlockID{}, map[string]BlockID{}}
	there := map[BlockID]bool{}
	ids := map[string]BlockID{}
	var files, attachments []string
	for _, name := range names {
		file := strings.TrimPrefix(name, base)
		stem, isNote := markdownStem(file)
		if !isNote && imp.files.blobs == nil {
			imp.fail(entries[name].Name, CodeUnsupported)
			continue
		}
		id, exists, err := imp.blockOf(ctx, file)
		if err != nil {
			return err
		}
		there[id], ids[name] = exists, id
		if isNote {
			files = append(files, name)
			all.add(stem, id)
		} else {
			attachments = append(attachments, name)
			all.add(file, id)
		}
	}
	folders := map[string]BlockID{".": ""}
	for _, name := range files {
		file := strings.TrimPrefix(name, base)
		parent, err := imp.makeFolders(ctx, path.Dir(file), folders)
		if err != nil {
			return err
		}
		id := ids[name]
		if there[id] {
			imp.fail(entries[name].Name, "conflict")
			continue
		}
		src, err := imp.read(entries[name], maxNote)
		if e, ok := errors.AsType[errEntry](err); ok {
			imp.fail(entries[name].Name, string(e))
			continue
		}
		if err != nil {
			return err
		}
		state := noteState(file, string(bytes.ToValidUTF8(src, []byte("\ufffd"))), parent, entries[name].Modified, &all)
		if err := imp.add(ctx, entries[name].Name, id, "note", state); err != nil {
			return err
		}
	}
	for _, name := range attachments {
		file := strings.TrimPrefix(name, base)
		parent, err := imp.makeFolders(ctx, path.Dir(file), folders)
		if err != nil {
			return err
		}
		if !there[ids[name]] {
			doc := ydoc.NewDoc(ydoc.Options{})
			doc.Transact(func() { describe(doc, fileType, path.Base(file), parent) })
			if err := imp.add(ctx, entries[name].Name, ids[name], fileType, doc.Encode(ydoc.V1)); err != nil {
				return err
			}
			imp.pending.Wait() // the file is of a block that is there
		}
		if err := imp.file(ctx, entries[name], NewFile{Key: BlockKey{imp.heap, ids[name]}, Name: path.Base(file)}, nil); err != nil {
			return err
		}
	}
	return nil
}

// commonFolder is the one folder that all files are in, with a slash, or "".
func commonFolder(names []string) string {
	if len(names) == 0 {
		return ""
	}
	first, _, nested := strings.Cut(names[0], "/")
	for _, name := range names {
		if !nested || !strings.HasPrefix(name, first+"/") {
			return ""
		}
	}
	return first + "/"
}

func markdownStem(name string) (stem string, ok bool) {
	ext := path.Ext(name)
	switch strings.ToLower(ext) {
	case ".md", ".markdown":
		return strings.TrimSuffix(name, ext), true
	}
	return "", false
}

// idSpace is the namespace of ids that are made of paths.
var idSpace = uuid.MustParse("6f0cf8f7-6b8e-4a55-9a53-0c3a2a6e2f51")

// blockOf returns the block of a path, and whether it exists. One that was deleted for
// good has a successor.
func (imp *importer) blockOf(ctx context.Context, file string) (BlockID, bool, error) {
	for generation := 0; ; generation++ {
		text := string(imp.heap) + "/" + file
		if generation > 0 {
			text += "\x00" + strconv.Itoa(generation)
		}
		id := BlockID(uuid.NewSHA1(idSpace, []byte(text)).String())
		head, err := imp.Head(ctx, BlockKey{imp.heap, id})
		switch {
		case errors.Is(err, ErrNotFound):
			return id, false, nil
		case err != nil:
			return "", false, err
		case head.DeletedAt == 0:
			return id, true, nil
		}
	}
}

// makeFolders makes the folders of a path that are not there yet, and returns the block
// of the last.
func (imp *importer) makeFolders(ctx context.Context, dir string, made map[string]BlockID) (BlockID, error) {
	if id, ok := made[dir]; ok {
		return id, nil
	}
	parent, err := imp.makeFolders(ctx, path.Dir(dir), made)
	if err != nil {
		return "", err
	}
	id, exists, err := imp.blockOf(ctx, dir+"/")
	if err != nil {
		return "", err
	}
	made[dir] = id
	if exists {
		return id, nil
	}
	doc := ydoc.NewDoc(ydoc.Options{})
	doc.Transact(func() {
		describe(doc, "folder", path.Base(dir), parent)
		doc.Map(aboutRoot).Set("created_at", imp.now().UnixMilli())
	})
	return id, imp.add(ctx, dir+"/", id, "folder", doc.Encode(ydoc.V1))
}

func describe(doc *ydoc.Doc, typ, title string, parent BlockID) {
	m := doc.Map(aboutRoot)
	m.Set("type", typ)
	m.Set("title", title)
	if parent != "" {
		m.Set("parent", string(parent))
	}
}

// noteState is the state of a new document of a Markdown file.
func noteState(file, src string, parent BlockID, modified time.Time, all *notes) []byte {
	front, body := frontMatter(src)
	stem, _ := markdownStem(file)
	title := path.Base(stem)
	for _, m := range front {
		if s, ok := m.Value.(string); ok && m.Key == "title" && strings.TrimSpace(s) != "" {
			title = strings.TrimSpace(s)
		}
	}
	doc := ydoc.NewDoc(ydoc.Options{})
	doc.Transact(func() {
		describe(doc, "note", title, parent)
		m := doc.Map(aboutRoot)
		if at := modified.UnixMilli(); at > 0 {
			m.Set("created_at", at)
		}
		if len(front) > 0 {
			m.SetType("apps", ydoc.TypeMap, "").AsMap().Set("frontmatter", front)
		}
		var related []BlockID
		richtext.AppendMarkdown(doc.XML(contentRoot), body, func(target string, wiki bool) string {
			id, ok := all.find(path.Dir(file), target, wiki)
			switch {
			case ok:
				if !slices.Contains(related, id) && len(related) < maxLinks {
					related = append(related, id)
				}
				return blockLink + string(id)
			case wiki:
				return ""
			}
			return target
		})
		if len(related) > 0 {
			relations := m.SetType("relations", ydoc.TypeMap, "").AsMap()
			for _, id := range related {
				relations.Set(string(id), ydoc.Object{{Key: "kind", Value: "link"}, {Key: "target", Value: string(id)}})
			}
		}
	})
	return doc.Encode(ydoc.V1)
}

// maxLinks bounds the relations that the links of one note make.
const maxLinks = 1000

// find returns the note that a link in a file of folder dir means.
func (n *notes) find(dir, target string, wiki bool) (BlockID, bool) {
	target, _, _ = strings.Cut(target, "#")
	if !wiki {
		if u, err := url.PathUnescape(target); err == nil {
			target = u
		}
		if strings.Contains(target, ":") {
			return "", false
		}
		if stem, ok := markdownStem(target); ok {
			target = stem
		}
		id, ok := n.byPath[strings.ToLower(path.Join(dir, target))]
		return id, ok
	}
	target = strings.ToLower(strings.TrimSpace(target))
	if stem, ok := markdownStem(target); ok {
		target = stem
	}
	if target == "" {
		return "", false
	}
	for _, at := range []string{path.Clean(target), path.Join(dir, target)} {
		if id, ok := n.byPath[at]; ok {
			return id, true
		}
	}
	if strings.Contains(target, "/") {
		return "", false
	}
	id, ok := n.byName[target]
	return id, ok
}

// maxFrontMatter (bytes) is from where on it is taken for text.
const maxFrontMatter = 64 << 10

// frontMatter reads the YAML that a note may begin with, between lines of ---. What is
// no map, or not YAML, is left in the text.
func frontMatter(src string) (ydoc.Object, string) {
	src = strings.TrimPrefix(src, "\ufeff")
	first, rest, _ := strings.Cut(src, "\n")
	if strings.TrimRight(first, " \t\r") != "---" {
		return nil, src
	}
	length := 0
	for line := range strings.Lines(rest) {
		if text := strings.TrimRight(line, " \t\r\n"); text == "---" || text == "..." {
			var root yaml.Node
			if yaml.Unmarshal([]byte(rest[:length]), &root) != nil || len(root.Content) != 1 || root.Content[0].Kind != yaml.MappingNode {
				return nil, src
			}
			v, _ := yamlValue(root.Content[0], 0).(ydoc.Object)
			return v, rest[length+len(line):]
		}
		if length += len(line); length > maxFrontMatter {
			break
		}
	}
	return nil, src
}

// maxYAMLDepth is how deep front matter may nest. Aliases are read as nothing, so that
// it cannot grow.
const maxYAMLDepth = 16

func yamlValue(n *yaml.Node, depth int) any {
	if depth > maxYAMLDepth {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		var o ydoc.Object
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if seen[key] {
				continue
			}
			seen[key] = true
			o = append(o, ydoc.Member{Key: key, Value: yamlValue(n.Content[i+1], depth+1)})
		}
		return o
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			list = append(list, yamlValue(c, depth+1))
		}
		return list
	case yaml.ScalarNode:
		switch n.Tag {
		case "!!bool":
			var b bool
			if n.Decode(&b) == nil {
				return b
			}
		case "!!int", "!!float":
			var f float64
			if n.Decode(&f) == nil {
				return f
			}
		case "!!null":
			return nil
		}
		return n.Value
	}
	return nil
}
