package tree

import (
	"bytes"
	"regexp"
	"strings"
)

// IgnoreName is the file that says what of its folder is left out.
const IgnoreName = ".heapsyncignore"

const (
	// maxIgnoreFile (bytes) and maxRules bound what one file may say.
	maxIgnoreFile = 64 << 10
	maxRules      = 2000
)

// litter is left out unless some .heapsyncignore wants it: what systems and programs leave
// beside files, and files that are on their way.
const litter = `.heapsyncignore
.DS_Store
._*
.AppleDouble/
.Spotlight-V100/
.fseventsd/
.Trashes/
.Trash-*/
.git/
.svn/
.hg/
Thumbs.db
ehthumbs.db
desktop.ini
$RECYCLE.BIN/
System Volume Information/
@eaDir/
#recycle/
lost+found/
.nfs*
~$*
*.part
*.partial
*.crdownload
*.filepart
*.!qB
*.aria2
.~tmp~/
`

var litterRules = parseRules([]byte(litter))

// rule is one line of a .heapsyncignore.
type rule struct {
	not     bool // what it matches is not left out
	folders bool // it matches folders only
	path    bool // it is matched against the path, not the name
	literal string
	glob    *regexp.Regexp // of Latin-1; nil: literal is all
}

// ignore is what the .heapsyncignore of one folder says, and those above.
type ignore struct {
	above *ignore
	base  string // the folder's path, with a slash
	rules []rule
}

// ignores says whether something in a folder is left out. path is absolute.
func (ig *ignore) ignores(path string, folder bool) bool {
	name := path[strings.LastIndexByte(path, '/')+1:]
	for level := ig; level != nil; level = level.above {
		for i := len(level.rules) - 1; i >= 0; i-- {
			r := &level.rules[i]
			if r.folders && !folder {
				continue
			}
			text := name
			if r.path {
				text = path[len(level.base):]
			}
			if r.matches(text) {
				return !r.not
			}
		}
	}
	return false
}

func (r *rule) matches(text string) bool {
	if r.glob == nil {
		return text == r.literal
	}
	return r.glob.MatchString(latin1(text))
}

// latin1 makes a character of each byte: git compares bytes.
func latin1(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			runes := make([]rune, len(s))
			for i := range len(s) {
				runes[i] = rune(s[i])
			}
			return string(runes)
		}
	}
	return s
}

func parseRules(text []byte) []rule {
	var rules []rule
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if r, ok := parseRule(string(bytes.TrimSuffix(line, []byte("\r")))); ok {
			rules = append(rules, r)
		}
		if len(rules) == maxRules {
			break
		}
	}
	return rules
}

func parseRule(line string) (r rule, ok bool) {
	if line == "" || line[0] == '#' {
		return r, false
	}
	line = trimSpaces(line)
	if rest, not := strings.CutPrefix(line, "!"); not {
		line, r.not = rest, true
	}
	if rest, folders := strings.CutSuffix(line, "/"); folders {
		line, r.folders = rest, true
	}
	if line == "" {
		return r, false
	}
	if r.path = strings.Contains(line, "/"); r.path {
		line = strings.TrimPrefix(line, "/")
	}
	if !strings.ContainsAny(line, `*?[\`) {
		r.literal = line
		return r, true
	}
	expr, ok := globExpr(line)
	if !ok {
		return r, false
	}
	glob, err := regexp.Compile(`\A(?s:` + expr + `)\z`)
	if err != nil { // too large
		return r, false
	}
	r.glob = glob
	return r, true
}

// trimSpaces takes spaces off the end that no backslash stands before.
func trimSpaces(s string) string {
	end := len(s)
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ':
			if end == len(s) {
				end = i
			}
			continue
		case '\\':
			i++
		}
		end = len(s)
	}
	return s[:end]
}

// globExpr translates a pattern. ok is false for one that matches nothing.
func globExpr(p string) (expr string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch c := p[i]; c {
		case '*':
			from := i
			for i+1 < len(p) && p[i+1] == '*' {
				i++
			}
			bounded := (from == 0 || p[from-1] == '/') && (i+1 == len(p) || p[i+1] == '/')
			switch {
			case i == from || !bounded:
				b.WriteString(`[^/]*`)
			case i+1 == len(p):
				b.WriteString(`.*`)
			default: // with the slash that follows: any folders, or none
				b.WriteString(`(?:.*/)?`)
				i++
			}
		case '?':
			b.WriteString(`[^/]`)
		case '[':
			class, next, ok := globClass(p, i)
			if !ok {
				return "", false
			}
			b.WriteString(class)
			i = next
		case '\\':
			if i++; i == len(p) {
				return "", false
			}
			b.WriteString(regexp.QuoteMeta(string(rune(p[i]))))
		default:
			b.WriteString(regexp.QuoteMeta(string(rune(c))))
		}
	}
	return b.String(), true
}

// byteSet is a set of bytes.
type byteSet [256]bool

// named are the sets that have a name, in ASCII.
var named = map[string]func(c byte) bool{
	"alpha": func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' },
	"digit": func(c byte) bool { return c >= '0' && c <= '9' },
	"alnum": func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' },
	"upper": func(c byte) bool { return c >= 'A' && c <= 'Z' },
	"lower": func(c byte) bool { return c >= 'a' && c <= 'z' },
	"space": func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' },
	"blank": func(c byte) bool { return c == ' ' || c == '\t' },
	"cntrl": func(c byte) bool { return c < ' ' || c == 0x7f },
	"graph": func(c byte) bool { return c > ' ' && c < 0x7f },
	"print": func(c byte) bool { return c >= ' ' && c < 0x7f },
	"punct": func(c byte) bool {
		return c > ' ' && c < 0x7f && !(c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9')
	},
	"xdigit": func(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' },
}

// globClass translates the class that begins at p[at], and returns where it ends.
func globClass(p string, at int) (expr string, end int, ok bool) {
	i := at + 1
	negated := i < len(p) && (p[i] == '!' || p[i] == '^')
	if negated {
		i++
	}
	var set byteSet
	prev := -1 // what a range could begin with
	for first := true; ; first = false {
		if i >= len(p) {
			return "", 0, false
		}
		c := p[i]
		switch {
		case c == ']' && !first:
			return set.expr(negated), i, true
		case c == '\\':
			if i++; i >= len(p) {
				return "", 0, false
			}
			set[p[i]] = true
			prev = int(p[i])
		case c == '-' && prev >= 0 && i+1 < len(p) && p[i+1] != ']':
			i++
			if p[i] == '\\' {
				if i++; i >= len(p) {
					return "", 0, false
				}
			}
			for c := prev; c <= int(p[i]); c++ {
				set[c] = true
			}
			prev = -1
		case c == '[' && i+1 < len(p) && p[i+1] == ':':
			stop := strings.IndexByte(p[i+2:], ']')
			if stop < 0 {
				return "", 0, false
			}
			name, closed := strings.CutSuffix(p[i+2:i+2+stop], ":")
			if !closed {
				set['['] = true
				prev = '['
				break
			}
			has := named[name]
			if has == nil {
				return "", 0, false
			}
			for c := range set {
				set[c] = set[c] || has(byte(c))
			}
			i += 2 + stop
			prev = -1
		default:
			set[c] = true
			prev = int(c)
		}
		i++
	}
}

func (s *byteSet) expr(negated bool) string {
	var b strings.Builder
	b.WriteByte('[')
	for c := range s {
		if s[c] != negated && c != '/' {
			b.WriteString(`\x{`)
			const hex = "0123456789abcdef"
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
			b.WriteByte('}')
		}
	}
	if b.Len() == 1 {
		return `[^\x{0}-\x{10ffff}]` // nothing
	}
	b.WriteByte(']')
	return b.String()
}
