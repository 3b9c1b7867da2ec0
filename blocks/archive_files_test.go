package blocks_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

func (w *filesWorld) have(block string, content []byte) {
	w.t.Helper()
	f := newFile(block, content)
	if _, err := w.TakeFile(w.t.Context(), ada, f, bytes.NewReader(content), func() (*blocks.Hash, error) { return &f.Hash, nil }); err != nil {
		w.t.Fatal(err)
	}
}

func TestFilesAreExportedOnceAndComeBack(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	photo, song := noise(200_000, 1), noise(1000, 2)
	w.have("photo", photo)
	w.have("copy", photo)
	w.have("song", song)
	w.write("note", titled("Note"))
	archive, files := w.exported()
	if got := files["files/"+hashOf(photo).String()]; got != string(photo) {
		t.Errorf("the photo has %d bytes", len(got))
	}
	n := 0
	for name := range files {
		if strings.HasPrefix(name, "files/") {
			n++
		}
	}
	if n != 2 || !strings.Contains(files["blocks.jsonl"], fmt.Sprintf(`"file":{"hash":"%s","name":"song.txt","size":1000`, hashOf(song))) {
		t.Errorf("%d files, and blocks %s", n, files["blocks.jsonl"])
	}

	again := newFilesWorld(t, blocks.Limits{})
	done, err := again.load("bob", archive)
	if err != nil || done.Blocks != 4 || len(done.Failed) != 0 {
		t.Fatalf("imported %+v, %v", done, err)
	}
	again.wantFile("photo", photo)
	again.wantFile("copy", photo)
	again.wantFile("song", song)
	for _, block := range []string{"photo", "copy", "song", "note"} {
		if !sameState(t, again.state(block), w.state(block)) {
			t.Errorf("block %s came back as\n%x, was\n%x", block, again.state(block), w.state(block))
		}
	}
	if done, err = again.load("bob", archive); err != nil || done.Blocks != 4 || len(done.Failed) != 0 {
		t.Errorf("imported again %+v, %v", done, err)
	}

	// Bytes that are not those of the hash are nobody's file.
	other := newFilesWorld(t, blocks.Limits{})
	bent := slices.Clone(archive)
	at := bytes.Index(bent, song) // it is stored as it is
	bent[at] ^= 1
	done, err = other.load("bob", bent)
	want := []blocks.ImportFailure{{Name: "files/" + hashOf(song).String(), Code: blocks.CodeUnreadable}}
	if err != nil || !slices.Equal(done.Failed, want) {
		t.Errorf("of a damaged archive: %+v, %v", done, err)
	}
	other.wantFile("photo", photo)

	small := newFilesWorld(t, blocks.Limits{HeapFiles: 1000})
	done, err = small.load("bob", archive)
	if err != nil || len(done.Failed) != 2 || done.Failed[0].Code != blocks.CodeQuota {
		t.Errorf("into a heap without room: %+v, %v", done, err)
	}
	small.wantFile("song", song)
}

func TestExportSaysThatBytesAreMissing(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	content := noise(100, 1)
	w.have("a", content)
	if err := w.cfg.Blobs.Delete(t.Context(), hashOf(content)); err != nil {
		t.Fatal(err)
	}
	_, files := w.exported()
	if !strings.Contains(files["blocks.jsonl"], `"state":"states/a.yjs"`) || !strings.Contains(files["blocks.jsonl"], `"error":"the bytes of its file are missing"`) {
		t.Errorf("the blocks are %s", files["blocks.jsonl"])
	}
}

func TestAttachmentsOfNotesBecomeFiles(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	photo := string(noise(5000, 1))
	folder := archive(t, "v/Note.md", "![a photo](img/Photo%201.jpg) and [[photo 1.jpg]]\n\n![[Photo 1.jpg]]\n\n![[note]]", "v/img/Photo 1.jpg", photo)
	for range 2 {
		done, err := w.load("bob", folder)
		if err != nil || len(done.Failed) > 1 {
			t.Fatalf("imported %+v, %v", done, err)
		}
	}
	notes := w.notes()
	file, img := notes["Photo 1.jpg"], notes["img"]
	if file.typ != "file" || file.parent != string(img.id) {
		t.Errorf("the file is %+v in %+v", file, img)
	}
	w.wantFile(string(file.id), []byte(photo))
	want := fmt.Sprintf("![a photo](#block/%s)\n\nand [photo 1.jpg](#block/%[1]s)\n\n![Photo 1.jpg](#block/%[1]s)\n\n[note](#block/%s)\n", file.id, notes["Note"].id)
	if note := notes["Note"]; note.markdown != want || !slices.Contains(note.relations, string(file.id)) {
		t.Errorf("the note is %q, want %q, and relates to %v", note.markdown, want, note.relations)
	}
}
