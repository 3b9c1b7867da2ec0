package ydoc_test

import (
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

func TestConflictTellsOtherContentFromTheSameContent(t *testing.T) {
	at := func() *builder { return new(builder).at(1, 0) }
	anys := func(values ...byte) []byte {
		return at().item(nil, nil, nil, "", 1, append([]byte{8, 1}, values...)...).bytes()
	}
	embed := func(json string) []byte {
		return at().item(nil, nil, nil, "", 1, append([]byte{5, byte(len(json))}, json...)...).bytes()
	}
	abcd := at().text(nil, nil, "abcd").bytes()
	cd := new(builder).at(1, 2).text(&id{Client: 1, Clock: 1}, nil, "cd").bytes()
	for name, c := range map[string]struct {
		a, b []byte
		want bool
	}{
		"the same":             {abcd, abcd, false},
		"other text":           {at().text(nil, nil, "AAAA").bytes(), at().text(nil, nil, "BBBB").bytes(), true},
		"a part":               {abcd, cd, false},
		"pieces":               {abcd, at().text(nil, nil, "ab").text(&id{Client: 1, Clock: 1}, nil, "cd").bytes(), false},
		"a part that differs":  {abcd, new(builder).at(1, 2).text(&id{Client: 1, Clock: 1}, nil, "cX").bytes(), true},
		"typed elsewhere":      {abcd, new(builder).at(1, 2).text(&id{Client: 1}, nil, "cd").bytes(), true},
		"other right":          {abcd, at().text(nil, &id{Client: 2}, "abcd").bytes(), true},
		"other origin":         {at().text(&id{Client: 2}, nil, "a").bytes(), at().text(&id{Client: 2, Clock: 1}, nil, "a").bytes(), true},
		"deleted":              {abcd, at().item(nil, nil, nil, "", 4, 1, 4).bytes(), false},
		"collected":            {abcd, at().gc(9).bytes(), false},
		"other kind":           {abcd, at().typ(nil, nil).bytes(), true},
		"other key":            {at().item(nil, nil, nil, "k", 1, 8, 1, 0x7e).bytes(), at().item(nil, nil, nil, "l", 1, 8, 1, 0x7e).bytes(), true},
		"other parent":         {at().item(nil, nil, &id{Client: 2}, "", 1, 8, 1, 0x7e).bytes(), anys(0x7e), true},
		"emoji and its halves": {at().text(nil, nil, "a😀").bytes(), new(builder).at(1, 2).text(&id{Client: 1, Clock: 1}, nil, "\ufffd").bytes(), false},
		"emoji and another":    {at().text(nil, nil, "😀").bytes(), at().text(nil, nil, "😁").bytes(), true},
		"integer as float":     {anys(0x7d, 0x80, 0x80, 0x80, 0x80, 0x20), anys(0x7c, 0x4f, 0x80, 0, 0), false},
		"null and undefined":   {anys(0x7e), anys(0x7f), true},
		"order of members":     {anys(0x76, 2, 1, 'a', 0x7e, 1, 'b', 0x78), anys(0x76, 2, 1, 'b', 0x78, 1, 'a', 0x7e), false},
		"other members":        {anys(0x76, 1, 1, 'a', 0x7e), anys(0x76, 1, 1, 'b', 0x7e), true},
		"JSON spelled apart":   {embed(`{"a":12.0, "b":[1]}`), embed(`{"b":[1],"a":12}`), false},
		"other JSON":           {embed(`{"a":12}`), embed(`{"a":13}`), true},
	} {
		for _, pair := range [][2][]byte{{c.a, c.b}, {c.b, c.a}} {
			id, got := decode(t, pair[0], ydoc.V1).Conflict(decode(t, pair[1], ydoc.V1))
			if got != c.want {
				t.Errorf("%s: conflict %v at %v", name, got, id)
			}
		}
	}
	if id, _ := decode(t, abcd, ydoc.V1).Conflict(decode(t, at().text(nil, nil, "abXd").bytes(), ydoc.V1)); id.Clock != 2 {
		t.Errorf("conflict at %v, want clock 2", id)
	}
}

func TestConflictReadsBothFormatsAlike(t *testing.T) {
	for _, doc := range vectors(t).Documents {
		a, b := decode(t, unhex(t, doc.V1), ydoc.V1), decode(t, unhex(t, doc.V2), ydoc.V2)
		if id, conflict := a.Conflict(b); conflict {
			t.Errorf("%s: conflict at %v", doc.Name, id)
		}
	}
}
