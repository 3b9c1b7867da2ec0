package blocks

import (
	"encoding/json"
	"slices"
	"strings"
)

// A block's tags stand in its apps: the map "tags" has each tag as a key, and true, or
// false for one that only "frontmatter" has and that was taken off. What an imported note
// begins with is kept in "frontmatter", where "tags" is a list or a text.

// maxTags bounds how many tags of a block are searched for.
const maxTags = 200

// tagsOf returns the tags in a block's apps, sorted.
func tagsOf(apps []byte) []string {
	var known struct {
		Tags        json.RawMessage `json:"tags"`
		FrontMatter json.RawMessage `json:"frontmatter"`
	}
	if json.Unmarshal(apps, &known) != nil {
		return nil
	}
	// What is of another kind is somebody else's.
	var front struct {
		Tags any `json:"tags"`
	}
	_ = json.Unmarshal(known.FrontMatter, &front)
	var own map[string]any
	_ = json.Unmarshal(known.Tags, &own)
	var list []string
	add := func(tag string) {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "#"); tag != "" {
			list = append(list, tag)
		}
	}
	taken := func(tag any) {
		if s, ok := tag.(string); ok && own[strings.TrimPrefix(strings.TrimSpace(s), "#")] != false {
			add(s)
		}
	}
	switch tags := front.Tags.(type) {
	case string:
		for tag := range strings.FieldsFuncSeq(tags, func(r rune) bool { return r == ',' || r == ' ' }) {
			taken(tag)
		}
	case []any:
		for _, tag := range tags {
			taken(tag)
		}
	}
	for tag, on := range own {
		if on == true {
			add(tag)
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), maxTags)]
}

// withTags is a text that search finds by a block's tags too.
func withTags(text string, apps []byte) string {
	tags := tagsOf(apps)
	if len(tags) == 0 {
		return text
	}
	line := "#" + strings.Join(tags, " #")
	if len(text)+1+len(line) > maxText {
		text = strings.TrimRight(cutBytes(text, max(maxText-1-len(line), 0)), "\n")
	}
	return cutBytes(strings.TrimLeft(text+"\n"+line, "\n"), maxText)
}
