package ydoc_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/heapsync/heapsync/ydoc"
)

// trace is a recorded editing session.
type trace struct {
	StartContent, EndContent string
	Txns                     []struct {
		Patches [][3]any // position, deleted, inserted
		Parents []int
		Agent   int
	}
}

// patch is an edit of a text.
type patch struct {
	at, deleted int
	inserted    string
}

func (t *trace) patches() []patch {
	var all []patch
	for _, txn := range t.Txns {
		all = append(all, patchesOf(txn.Patches)...)
	}
	return all
}

func patchesOf(raw [][3]any) []patch {
	var all []patch
	for _, p := range raw {
		all = append(all, patch{int(p[0].(float64)), int(p[1].(float64)), p[2].(string)})
	}
	return all
}

// readTrace reads a trace from $HEAPSYNC_TESTDATA, by default shared/testdata beside
// the repository: their licence does not let us copy them. Where it is missing it is
// not real but a synthetic one of a single writer, and the log says so.
func readTrace(t testing.TB, name string) (tr *trace, real bool) {
	t.Helper()
	dir := os.Getenv("HEAPSYNC_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "testdata")
	}
	f, err := os.Open(filepath.Join(dir, "traces", name+".json.gz"))
	if err != nil {
		t.Logf("%v: a synthetic session stands in for it", err)
		return syntheticTrace(20_000), false
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	tr = new(trace)
	if err := json.NewDecoder(z).Decode(tr); err != nil {
		t.Fatal(err)
	}
	return tr, true
}

// syntheticTrace is edits of one writer, who types runs, jumps and deletes.
func syntheticTrace(edits int) *trace {
	rng := rand.New(rand.NewPCG(1, 2))
	tr := new(trace)
	tr.Txns = append(tr.Txns, struct {
		Patches [][3]any
		Parents []int
		Agent   int
	}{})
	patches := &tr.Txns[0].Patches
	var text []byte
	for at := 0; len(*patches) < edits; {
		if rng.IntN(12) == 0 {
			at = rng.IntN(len(text) + 1)
		}
		if at > 0 && rng.IntN(10) < 3 {
			at--
			text = slices.Delete(text, at, at+1)
			*patches = append(*patches, [3]any{float64(at), 1.0, ""})
			continue
		}
		c := byte('a' + rng.IntN(26))
		text = slices.Insert(text, at, c)
		*patches = append(*patches, [3]any{float64(at), 0.0, string(c)})
		at++
	}
	tr.EndContent = string(text)
	return tr
}

// typeTrace makes the edits of a trace in a new document, one transaction each.
func typeTrace(tr *trace, patches []patch, onUpdate func(*ydoc.Transaction)) *ydoc.Doc {
	d := ydoc.NewDoc(ydoc.Options{ClientID: 1})
	if onUpdate != nil {
		d.OnUpdate(onUpdate)
	}
	text := d.Text("text")
	if tr.StartContent != "" {
		text.Insert(0, tr.StartContent)
	}
	for _, p := range patches {
		if p.deleted > 0 {
			text.Delete(p.at, p.deleted)
		}
		if p.inserted != "" {
			text.Insert(p.at, p.inserted)
		}
	}
	return d
}

func TestTracesGiveTheUpdatesAndTheTextOfYjs(t *testing.T) {
	b, err := os.ReadFile("testdata/vectors/yjs-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Traces struct {
			Traces []struct {
				Name, EndSha256, UpdatesSha256, StateVector, V1Sha256, V2Sha256 string
				Updates, V1Bytes, V2Bytes                                       int
			}
		}
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Traces.Traces) == 0 {
		t.Fatal("no traces in the vectors")
	}
	for _, want := range v.Traces.Traces {
		t.Run(want.Name, func(t *testing.T) {
			tr, real := readTrace(t, want.Name)
			sum := sha256.New()
			updates := 0
			applied := ydoc.NewDoc(ydoc.Options{})
			d := typeTrace(tr, tr.patches(), func(tx *ydoc.Transaction) {
				u := tx.Update(ydoc.V1)
				sum.Write(u)
				updates++
				if err := applied.Apply(u, ydoc.V1); err != nil {
					t.Fatal(err)
				}
			})
			if !real {
				if typed, got := d.Text("text").String(), applied.Text("text").String(); typed != tr.EndContent || got != tr.EndContent || updates != len(tr.patches()) {
					t.Errorf("%d updates; typed %d bytes, applied %d, want %d", updates, len(typed), len(got), len(tr.EndContent))
				}
				return
			}
			if updates != want.Updates {
				t.Errorf("%d updates, want %d", updates, want.Updates)
			}
			wantHex(t, "updates", sum.Sum(nil), want.UpdatesSha256)
			for what, d := range map[string]*ydoc.Doc{"typed": d, "applied": applied} {
				wantSum(t, what+" text", []byte(d.Text("text").String()), want.EndSha256)
				wantHex(t, what+" state vector", d.StateVector().Encode(), want.StateVector)
				wantSum(t, what+" state", d.Encode(ydoc.V1), want.V1Sha256)
				wantSum(t, what+" state in V2", d.Encode(ydoc.V2), want.V2Sha256)
				if err := d.Check(); err != nil {
					t.Error(err)
				}
			}
			loaded := ydoc.NewDoc(ydoc.Options{})
			if err := loaded.Apply(d.Encode(ydoc.V1), ydoc.V1); err != nil {
				t.Fatal(err)
			}
			wantSum(t, "loaded state", loaded.Encode(ydoc.V1), want.V1Sha256)
		})
	}
}

func wantSum(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != want {
		t.Errorf("%s has %d bytes with another hash than Yjs's", what, len(got))
	}
}

// Two people write at once; a transaction of one builds on what they had seen. Who of
// them wrote first at one place is not what the trace says, so this looks for the same
// text in both orders of delivery, and for nothing lost.
func TestTwoWritersOfATraceConverge(t *testing.T) {
	tr, real := readTrace(t, "friendsforever")
	if !real {
		t.Skip("a synthetic trace has one writer; the sessions have several")
	}
	n := len(tr.Txns)
	if testing.Short() || raceDetector {
		n = 3000
	}
	docs := [2]*ydoc.Doc{ydoc.NewDoc(ydoc.Options{ClientID: 1}), ydoc.NewDoc(ydoc.Options{ClientID: 2})}
	updates := make([][]byte, n)
	known := [2]map[int]bool{{}, {}}
	learn := func(agent, txn int) {
		var stack []int
		for todo := []int{txn}; len(todo) > 0; {
			at := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if known[agent][at] {
				continue
			}
			known[agent][at] = true
			stack = append(stack, at)
			todo = append(todo, tr.Txns[at].Parents...)
		}
		for _, at := range stack {
			if err := docs[agent].Apply(updates[at], ydoc.V1); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, txn := range tr.Txns[:n] {
		for _, p := range txn.Parents {
			learn(txn.Agent, p)
		}
		text := docs[txn.Agent].Text("text")
		tx := docs[txn.Agent].Transact(func() {
			for _, p := range patchesOf(txn.Patches) {
				text.Delete(p.at, p.deleted)
				text.Insert(p.at, p.inserted)
			}
		})
		updates[i] = tx.Update(ydoc.V1)
		known[txn.Agent][i] = true
	}
	for i := range n {
		learn(0, i)
		learn(1, i)
	}
	a, b := docs[0].Text("text").String(), docs[1].Text("text").String()
	if a != b {
		t.Fatalf("%d and %d bytes of text, not the same", len(a), len(b))
	}
	if n == len(tr.Txns) && len(a) != len(tr.EndContent) {
		t.Errorf("%d bytes of text, want %d", len(a), len(tr.EndContent))
	}
	for _, d := range docs {
		if err := d.Check(); err != nil {
			t.Error(err)
		}
	}
}
