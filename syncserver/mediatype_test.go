// Inside the package: what may run in a browser must be known wherever it is asked.
package syncserver

import "testing"

func TestMediaTypesComeFromBytesAndNames(t *testing.T) {
	for _, tt := range []struct{ name, declared, head, want string }{
		{"a.jpg", "", "\xff\xd8\xff\xe0", "image/jpeg"},
		{"a.png", "", "\xff\xd8\xff\xe0", "image/jpeg"},
		{"a.html", "image/jpeg", "\xff\xd8\xff\xe0 <script>", "image/jpeg"}, // a polyglot is what it begins with
		{"a.jpg", "image/jpeg", "<html><script>", "text/html"},
		{"a.jpg", "image/jpeg", "  <!DOCTYPE HTML>", "text/html"},
		{"a.svg", "image/png", "<svg xmlns=", "image/svg+xml"},
		{"a.svg", "", "<?xml version=\"1.0\"?><svg", "image/svg+xml"},
		{"a", "", "<?xml version=\"1.0\"?><x", "text/xml"},
		{"a.js", "", "alert(1)", "text/javascript"},
		{"a.md", "", "# Hello", "text/markdown"},
		{"a", "", "hello", "text/plain"},
		{"a.m4a", "", "\x00\x00\x00\x18ftypM4A mp42", "audio/mp4"},
		{"a.mp4", "", "\x00\x00\x00\x18ftypmp42mp42mp42mp42", "video/mp4"},
		{"a.mov", "", "\x00\x00\x00\x14ftypqt  \x00\x00", "video/quicktime"},
		{"a.mkv", "", "\x1a\x45\xdf\xa3", "video/x-matroska"},
		{"a.docx", "", "PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"a.html", "", "PK\x03\x04", "application/zip"},
		{"a.heic", "", "\x00\x00\x00\x18ftypheic", "image/heic"},
		{"a.pdf", "", "%PDF-1.7", "application/pdf"},
		{"a", "application/x-thing; a=b", "\x00\x01\x02", "application/x-thing"},
		{"a", "text/html", "\x00\x01\x02", "application/octet-stream"},
		{"a", "multipart/form-data", "\x00\x01\x02", "application/octet-stream"},
		{"a", "", "", "application/octet-stream"},
		{"a.txt", "", "", "text/plain"},
	} {
		if got := MediaType(tt.name, tt.declared, []byte(tt.head)); got != tt.want {
			t.Errorf("%q, %q, %q: %s, want %s", tt.name, tt.declared, tt.head, got, tt.want)
		}
	}
	for kind, want := range map[string]bool{
		"image/svg+xml": true, "text/html": true, "application/xhtml+xml": true, "text/javascript": true, "multipart/related": true, "text/xml": true,
		"image/png": false, "application/pdf": false, "text/plain": false, "video/mp4": false,
	} {
		if active(kind) != want {
			t.Errorf("%s is active: %v", kind, !want)
		}
	}
	for ext, kind := range nameTypes {
		if ext[0] != '.' || MediaType("x"+ext, "", nil) != kind {
			t.Errorf("%s is not %s", ext, kind)
		}
	}
}
