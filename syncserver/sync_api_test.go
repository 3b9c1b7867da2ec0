package syncserver_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/syncserver"
	"github.com/heapsync/heapsync/ydoc/lib0"
)

// word is client's text at clock, in the root t, after its own last character.
func word(client, clock uint64, s string) []byte {
	b := lib0.AppendVarUint([]byte{1, 1}, client)
	b = lib0.AppendVarUint(b, clock)
	if clock == 0 {
		b = append(b, 4, 1, 1, 't')
	} else {
		b = lib0.AppendVarUint(lib0.AppendVarUint(append(b, 0x84), client), clock-1)
	}
	return append(lib0.AppendVarString(b, s), 0)
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// item is one block of a push or a pull.
func item(heap, block string, more ...any) object {
	o := object{"workspace_id": heap, "block_id": block}
	for i := 0; i < len(more); i += 2 {
		o[more[i].(string)] = more[i+1]
	}
	return o
}

func (w *world) push(t testing.TB, token string, items ...any) answer {
	t.Helper()
	return w.call(t, "POST", "/api/sync/push", token, object{"blocks": items}).want(t, "push", 200, "")
}

func (w *world) pull(t testing.TB, token string, items ...any) answer {
	t.Helper()
	return w.call(t, "POST", "/api/sync/pull", token, object{"blocks": items}).want(t, "pull", 200, "")
}

// statuses are those of all items.
func (a answer) statuses() string {
	list, _ := a.json["results"].([]any)
	if list == nil {
		list, _ = a.json["blocks"].([]any)
	}
	var s []string
	for _, item := range list {
		s = append(s, fmt.Sprint(item.(object)["status"]))
	}
	return strings.Join(s, " ")
}

// wantKeys checks which fields an object has.
func wantKeys(t testing.TB, what string, got any, want string) {
	t.Helper()
	o, _ := got.(object)
	if keys := strings.Join(slices.Sorted(maps.Keys(o)), " "); keys != want {
		t.Errorf("%s has %q, want %q", what, keys, want)
	}
}

func (w *world) heap(t testing.TB, token, id string) {
	t.Helper()
	w.call(t, "POST", "/api/heap/add", token, object{"id": id, "name": "Heap " + id}).want(t, "add heap", 201, "")
}

func TestAnswersHaveTheShapeOfTheContract(t *testing.T) {
	w := newWorld(t)
	token, _ := w.login(t, newDevice(1))

	root := w.call(t, "GET", "/api/", "", nil).want(t, "instance", 200, "")
	wantKeys(t, "instance", root.json, "capabilities min_client_version mode name public_key public_url selfhosted status version")
	wantKeys(t, "instance with a token", w.call(t, "GET", "/api", token, nil).json,
		"capabilities is_admin license min_client_version mode name public_key public_url selfhosted status version")
	health := w.call(t, "GET", "/api/health", "", nil).want(t, "health", 200, "")
	wantKeys(t, "health", health.json, "database media name public_key public_url server storage version")
	wantKeys(t, "diagnostics", w.call(t, "GET", "/api/health?diagnostics=1", "", nil).at("diagnostics.realtime"),
		"bytes_in bytes_out commit_queue connections messages_in messages_out rooms slow_consumers subscriptions")
	wantKeys(t, "sync health", w.call(t, "GET", "/sync/health", "", nil).want(t, "sync health", 200, "").json,
		"commit_p99_ms connections last_commit_at pending_commits rooms status")

	heap := w.call(t, "POST", "/api/heap/add", token, object{"id": "h", "name": " Ideas "}).want(t, "add heap", 201, "")
	const heapKeys = "blocks created_at encrypted id name owner role storage_bytes updated_at"
	wantKeys(t, "heap", heap.json, heapKeys)
	if heap.str("name") != "Ideas" || heap.str("role") != "owner" || heap.str("id") != "h" {
		t.Errorf("heap: %s", heap.text)
	}
	push := w.push(t, token, item("h", "b", "update", b64(word(1, 0, "hello")), "type", "note", "state_vector", b64([]byte{0})))
	wantKeys(t, "push", push.json, "results server_time")
	wantKeys(t, "result", push.at("results.0"), "block_id seq state_vector status sync_version workspace_id")
	refused := w.push(t, token, item("h", "b", "update", b64([]byte{9})), item("h", "b", "update", b64(word(1, 9, "late"))))
	wantKeys(t, "refusal", refused.at("results.0"), "block_id error status workspace_id")
	wantKeys(t, "error", refused.at("results.0.error"), "code detail")
	if refused.at("results.0.error.code") != "malformed_update" || refused.at("results.1.pending") != true {
		t.Error(refused.text)
	}
	pull := w.pull(t, token, item("h", "b"), item("h", "b", "state_vector", b64([]byte{0})), item("h", "b", "state_vector", b64([]byte{1, 1, 5}), "seq", 1))
	wantKeys(t, "full", pull.at("blocks.0"), "block_id seq state state_vector status sync_version workspace_id")
	wantKeys(t, "update", pull.at("blocks.1"), "block_id seq state_vector status sync_version update workspace_id")
	wantKeys(t, "up to date", pull.at("blocks.2"), "block_id seq state_vector status sync_version workspace_id")
	if pull.at("blocks.0.state") != b64(word(1, 0, "hello")) {
		t.Error(pull.text)
	}
	delta := w.call(t, "GET", "/api/sync/delta?workspace_id=h", token, nil).want(t, "delta", 200, "")
	wantKeys(t, "delta", delta.json, "changed_blocks deleted_blocks has_more next_cursor server_time total_changed total_deleted")
	wantKeys(t, "changed block", delta.at("changed_blocks.0"), "block_id seq size state_vector sync_version trashed_at type updated_at")
	if delta.at("changed_blocks.0.type") != "note" || delta.json["next_cursor"] != "1" {
		t.Error(delta.text)
	}
	w.settle(t)
	for _, path := range []string{"heaps", "workspaces"} {
		list := w.call(t, "POST", "/api/"+path, token, nil).want(t, path, 200, "")
		wantKeys(t, path, list.json, path)
		wantKeys(t, path, list.at(path+".0"), heapKeys)
		if list.at(path+".0.blocks") != 1.0 {
			t.Error(list.text)
		}
	}
	for name, a := range map[string]answer{"instance": root, "push": push, "pull": pull, "delta": delta, "heap": heap, "health": health} {
		if a.header.Get("X-Request-Id") == "" || a.header.Get("Content-Type") != "application/json" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", name, a.header)
		}
	}
}

func TestHeapsAreAddedOnce(t *testing.T) {
	w := newWorld(t)
	ada, _ := w.login(t, newDevice(1))
	bob, _ := w.login(t, newDevice(2))
	add := func(token string, body any) answer { return w.call(t, "POST", "/api/heap/add", token, body) }
	first := add(ada, object{"id": "h", "name": "First"}).want(t, "first", 201, "")
	if again := add(ada, object{"id": "h", "name": "Other"}).want(t, "again", 200, ""); again.str("name") != "First" || again.at("created_at") != first.at("created_at") {
		t.Error(again.text)
	}
	add(bob, object{"id": "h", "name": "Mine"}).want(t, "another's", 409, "conflict")
	if made := add(ada, object{"name": "No id"}).want(t, "no id", 201, ""); len(made.str("id")) != 36 {
		t.Error(made.text)
	}
	for what, body := range map[string]any{
		"no name": object{"id": "x"}, "blank name": object{"name": "  "}, "bad id": object{"id": "a b", "name": "x"},
		"long id": object{"id": strings.Repeat("x", 65), "name": "x"}, "long name": object{"name": strings.Repeat("x", 201)},
		"name is a number": object{"name": 5}, "array": []int{1}, "no JSON": "{", "nothing": nil,
	} {
		add(ada, body).want(t, what, 400, "invalid")
	}
}

func TestBytesMayComeInManyForms(t *testing.T) {
	w := newWorld(t)
	token, _ := w.login(t, newDevice(1))
	w.heap(t, token, "h")
	// Bytes whose base64 has both odd characters, and padding.
	update := word(1, 0, "\u00fb\u00ff\u07be??>>~~")
	numbers := make([]int, len(update))
	for i, b := range update {
		numbers[i] = int(b)
	}
	for name, form := range map[string]any{
		"standard": b64(update), "unpadded": base64.RawStdEncoding.EncodeToString(update),
		"URL-safe": base64.URLEncoding.EncodeToString(update), "URL-safe, unpadded": base64.RawURLEncoding.EncodeToString(update),
		"numbers": numbers,
	} {
		block := "b-" + strings.Map(func(r rune) rune {
			if r == ',' || r == ' ' {
				return '_'
			}
			return r
		}, name)
		if a := w.push(t, token, item("h", block, "update", form)); a.statuses() != "applied" {
			t.Errorf("%s: %s", name, a.text)
		}
		if a := w.pull(t, token, item("h", block)); a.at("blocks.0.state") != b64(update) {
			t.Errorf("%s: %s", name, a.text)
		}
	}
	for _, bad := range []any{"!!!!", "abc=d", []int{256}, []int{-1}, []any{"1"}, []any{1.5}, 5, object{}, true, "a"} {
		if a := w.push(t, token, item("h", "b", "update", bad)); a.statuses() != "invalid" || a.at("results.0.block_id") != "b" || a.at("results.0.error.code") != "invalid" {
			t.Errorf("%v: %s", bad, a.text)
		}
	}
}

func TestBadItemsFailAlone(t *testing.T) {
	w := newWorld(t)
	token, _ := w.login(t, newDevice(1))
	w.heap(t, token, "h")
	good := item("h", "b", "update", b64(word(1, 0, "x")))
	bad := []any{
		nil, 5, "text", []int{}, object{}, item("h", ""), item("h", "no id!"), item("h", "b"), item("h", "b", "update", nil),
		item("h", "b", "update", ""), object{"workspace_id": 7, "block_id": "b", "update": b64(word(1, 0, "x"))},
		item("h", "b", "update", b64(word(1, 0, "x")), "state_vector", "AQ"), item("h", "b", "update", b64(word(1, 0, "x")), "sync_version", "one"),
		item("h", "b", "update", b64(word(1, 0, "x")), "state_vector", ""),
	}
	for i, b := range bad {
		a := w.push(t, token, good, b, item("h", "c", "update", b64(word(1, uint64(i), "x"))))
		statuses := strings.Fields(a.statuses())
		if len(statuses) != 3 || statuses[1] != "invalid" && statuses[1] != "not_found" || statuses[2] != "applied" {
			t.Errorf("item %v: %s", b, a.text)
		}
		if b == nil || fmt.Sprint(b) == "5" {
			continue
		}
		a = w.pull(t, token, item("h", "b"), b)
		if s := a.statuses(); !strings.HasPrefix(s, "full ") {
			t.Errorf("pull of item %v: %s", b, a.text)
		}
	}
	for what, body := range map[string]any{
		"no blocks": object{}, "null": object{"blocks": nil}, "an object": object{"blocks": object{}}, "text": "hello", "cut": `{"blocks":[`,
		"two values": `{"blocks":[]}{}`, "nothing": nil,
	} {
		for _, route := range []string{"push", "pull"} {
			w.call(t, "POST", "/api/sync/"+route, token, body).want(t, route+" "+what, 400, "invalid")
		}
	}
	for _, route := range []string{"push", "pull"} {
		w.call(t, "POST", "/api/sync/"+route, token, `{"blocks":[]}`).want(t, "no items", 200, "")
	}
}

func TestSyncRequestsHaveLimits(t *testing.T) {
	w := newWorld(t)
	token, _ := w.login(t, newDevice(1))
	w.heap(t, token, "h")
	items := make([]any, 1000)
	for i := range items {
		items[i] = item("h", fmt.Sprint("b", i%10), "update", b64(word(uint64(i+1), 0, "x")))
	}
	if a := w.push(t, token, items...); strings.Count(a.statuses(), "applied") != 1000 {
		t.Error("1,000 blocks are not taken")
	}
	if a := w.pull(t, token, items...); strings.Count(a.statuses(), "full") != 1000 {
		t.Error("1,000 blocks are not answered")
	}
	items = append(items, items[0])
	for _, route := range []string{"push", "pull"} {
		w.call(t, "POST", "/api/sync/"+route, token, object{"blocks": items}).want(t, "1,001 blocks", 400, "invalid")
	}
	w.call(t, "POST", "/api/sync/push", token, `{"blocks":[],"x":"`+strings.Repeat("x", 32<<20)+`"}`).want(t, "over 32 MiB", 413, "too_large")
	large := word(1, 0, strings.Repeat("x", 16<<20-20))
	if a := w.push(t, token, item("h", "large", "update", b64(large))); a.statuses() != "applied" {
		t.Errorf("%d bytes: %.200s", len(large), a.text)
	}
	large = word(1, 0, strings.Repeat("x", 16<<20))
	a := w.push(t, token, item("h", "larger", "update", b64(large)), item("h", "b", "update", b64(word(1, 0, "x"))))
	if a.statuses() != "too_large applied" || a.at("results.0.error.code") != "too_large" {
		t.Errorf("%d bytes: %.200s", len(large), a.text)
	}
}

func TestDeltaReadsItsQueryAsTheContractSays(t *testing.T) {
	w := newWorld(t)
	token, _ := w.login(t, newDevice(1))
	w.heap(t, token, "h")
	for i := range 5 {
		w.push(t, token, item("h", fmt.Sprint("b", i), "update", b64(word(1, 0, "x"))))
	}
	get := func(query string) answer { return w.call(t, "GET", "/api/sync/delta?"+query, token, nil) }
	for query, n := range map[string]int{
		"workspace_id=h": 5, "heap_id=h": 5, "workspace_id=h&since=NaN": 5, "workspace_id=h&since=-1": 5, "workspace_id=h&since=": 5,
		"workspace_id=h&since=99999999999999": 0, "workspace_id=h&cursor=3": 2, "workspace_id=h&cursor=0": 5, "workspace_id=h&cursor=5": 0,
		"workspace_id=h&cursor=3&since=99999999999999": 2, "workspace_id=h&limit=2": 2, "workspace_id=h&limit=5000": 5, "workspace_id=h&cursor=999": 0,
	} {
		a := get(query).want(t, query, 200, "")
		if list, _ := a.json["changed_blocks"].([]any); len(list) != n || a.str("next_cursor") == "" {
			t.Errorf("%s: %s", query, a.text)
		}
		if _, ok := a.json["deleted_blocks"].([]any); !ok {
			t.Errorf("%s: deleted_blocks is not a list", query)
		}
	}
	for _, query := range []string{"", "workspace_id=", "workspace_id=a b", "workspace_id=h&limit=0", "workspace_id=h&limit=x", "workspace_id=h&cursor=x", "workspace_id=h&cursor=-1"} {
		get(strings.ReplaceAll(query, " ", "%20")).want(t, query, 400, "invalid")
	}
}

func TestChangedBlocksTakesInABodyWhatDeltaTakes(t *testing.T) {
	w := newWorld(t)
	token, _ := w.login(t, newDevice(1))
	w.heap(t, token, "h")
	for i := range 5 {
		w.push(t, token, item("h", fmt.Sprint("b", i), "update", b64(word(1, 0, "x"))))
	}
	for _, c := range []struct {
		body object
		n    int
	}{
		{object{"heap_id": "h"}, 5}, {object{"workspace_id": "h", "since": "soon"}, 5}, {object{"heap_id": "h", "since": 99999999999999}, 0},
		{object{"heap_id": "h", "cursor": "3"}, 2}, {object{"heap_id": "h", "cursor": 3}, 2}, {object{"heap_id": "h", "limit": 2, "cursor": nil}, 2},
	} {
		a := w.call(t, "POST", "/api/heap/changed_blocks", token, c.body).want(t, fmt.Sprint(c.body), 200, "")
		if list, _ := a.json["changed_blocks"].([]any); len(list) != c.n || a.str("next_cursor") == "" {
			t.Errorf("%v: %s", c.body, a.text)
		}
	}
	for _, body := range []object{{}, {"heap_id": "a b"}, {"heap_id": "h", "limit": 0}, {"heap_id": "h", "cursor": "x"}, {"heap_id": 5}} {
		w.call(t, "POST", "/api/heap/changed_blocks", token, body).want(t, fmt.Sprint(body), 400, "invalid")
	}
}

// S-02: what is another's answers as if it were not there.
func TestForeignHeapsAndBlocksLookLikeAbsentOnes(t *testing.T) {
	w := newWorld(t)
	ada, _ := w.login(t, newDevice(1))
	bob, _ := w.login(t, newDevice(2))
	w.heap(t, ada, "foreign")
	w.heap(t, bob, "own")
	w.push(t, ada, item("foreign", "secret", "update", b64(word(1, 0, "x"))))
	update := b64(word(2, 0, "y"))
	same := func(what string, foreign, absent answer) {
		t.Helper()
		a := strings.NewReplacer("absent0", "foreign").Replace(absent.text)
		a = strings.NewReplacer("nothin", "secret").Replace(a)
		strip := func(text string) string {
			var v map[string]any
			if json.Unmarshal([]byte(text), &v) != nil {
				return text
			}
			delete(v, "server_time")
			out, _ := json.Marshal(v)
			return string(out)
		}
		if foreign.status != absent.status || strip(foreign.text) != strip(a) {
			t.Errorf("%s: %d %s, but of what is not there %d %s", what, foreign.status, foreign.text, absent.status, absent.text)
		}
	}
	for what, more := range map[string][]any{
		"push": {"update", update}, "push with a vector": {"update", update, "state_vector", b64([]byte{0})},
		"push of another version": {"update", update, "sync_version", 9}, "push of garbage": {"update", "AAAAAAAA!"},
	} {
		foreign, absent := w.push(t, bob, item("foreign", "secret", more...), item("own", "b", "update", update)), w.push(t, bob, item("absent0", "nothin", more...), item("own", "b", "update", update))
		if !strings.HasPrefix(foreign.statuses(), "not_found ") {
			t.Errorf("%s: %s", what, foreign.text)
		}
		first := func(a answer) answer {
			text, _ := json.Marshal(a.at("results.0"))
			return answer{status: a.status, text: string(text)}
		}
		same(what, first(foreign), first(absent))
		same(what+", no heap", w.push(t, bob, object{"block_id": "secret", "update": update}), w.push(t, bob, object{"block_id": "nothin", "update": update}))
	}
	same("pull", w.pull(t, bob, item("foreign", "secret")), w.pull(t, bob, item("absent0", "nothin")))
	same("pull, no heap", w.pull(t, bob, object{"block_id": "secret"}), w.pull(t, bob, object{"block_id": "nothin"}))
	same("delta", w.call(t, "GET", "/api/sync/delta?workspace_id=foreign", bob, nil), w.call(t, "GET", "/api/sync/delta?workspace_id=absent0", bob, nil))
	if a := w.call(t, "POST", "/api/heaps", bob, nil); strings.Contains(a.text, "foreign") {
		t.Errorf("heaps: %s", a.text)
	}
	if a := w.pull(t, ada, item("foreign", "secret")); a.at("blocks.0.state") != b64(word(1, 0, "x")) {
		t.Errorf("it was changed: %s", a.text)
	}
}

// S-20: no web page of another origin changes or reads anything.
func TestOtherOriginsMayDoNothing(t *testing.T) {
	w := newWorld(t, func(c *syncserver.Config) { c.Origins = []string{"https://app.example.net"} })
	token, _ := w.login(t, newDevice(1))
	w.heap(t, token, "h")
	commits := w.store.Calls("Commit")
	for _, origin := range []string{
		"https://evil.example.com", "null", "https://sub.sync.example.org", "https://sync.example.org:8443", "http://sync.example.org",
		"https://sync.example.org.evil.com", "https://example.org", "file://", "https://app.example.net.evil.com",
	} {
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"} {
			for _, rt := range w.Routes() {
				method, path := pathOf(rt.Pattern)
				if slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, method) {
					continue
				}
				a := w.call(t, method, path, token, `{"blocks":[{"workspace_id":"h","block_id":"b","update":"AAA="}],"name":"x"}`,
					"Origin", origin, "Sec-Fetch-Site", "cross-site", "Content-Type", kind)
				if a.status != 403 || a.str("code") != "cross_origin" || a.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s from %s: %d %s, ACAO %q", rt.Pattern, origin, a.status, a.text, a.header.Get("Access-Control-Allow-Origin"))
				}
				if kind != "text/plain" {
					continue
				}
				a = w.call(t, method, path, token, `{}`, "Origin", origin, "Content-Type", kind) // an old browser
				if a.status != 403 {
					t.Errorf("%s from %s, an old browser: %d", rt.Pattern, origin, a.status)
				}
			}
		}
		a := w.call(t, "OPTIONS", "/api/sync/push", "", nil, "Origin", origin, "Access-Control-Request-Method", "POST")
		if a.header.Get("Access-Control-Allow-Origin") != "" || a.status == 204 {
			t.Errorf("preflight from %s: %d %v", origin, a.status, a.header)
		}
		if a = w.call(t, "GET", "/api/", "", nil, "Origin", origin); a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("GET from %s may be read", origin)
		}
		for _, path := range []string{"/ws", "/ws/h/b?token=" + token} {
			a := w.call(t, "GET", path, "", nil, "Origin", origin, "Connection", "Upgrade", "Upgrade", "websocket",
				"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
			a.want(t, "socket from "+origin, 403, "cross_origin")
		}
	}
	if n := w.store.Calls("Commit"); n != commits {
		t.Errorf("%d commits came of it", n-commits)
	}
	for _, origin := range []string{publicURL, "https://app.example.net", ""} {
		headers := []string{"Origin", origin, "Sec-Fetch-Site", "cross-site"}
		if origin == "" {
			headers = nil
		}
		a := w.call(t, "POST", "/api/heaps", token, object{}, headers...).want(t, "from "+origin, 200, "")
		if got := a.header.Get("Access-Control-Allow-Origin"); got != origin || a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("from %q: ACAO %q", origin, got)
		}
	}
}

func TestRequestThatIsNoUpgradeIsAProblem(t *testing.T) {
	w := newWorld(t)
	token, _ := w.login(t, newDevice(1))
	w.call(t, "GET", "/ws", token, nil).want(t, "plain request", 400, "invalid")
	w.call(t, "GET", "/ws/h/b", token, nil).want(t, "plain request", 400, "invalid")
	w.call(t, "GET", "/ws/h/no%20id", token, nil).want(t, "no id", 400, "invalid")
}

// S-52: a fault of ours is a 500 that says nothing, and the next request works.
func TestPanicIsA500WithoutDetail(t *testing.T) {
	w := newWorld(t, func(c *syncserver.Config) {
		c.Health = func(context.Context) error { panic("a secret detail") }
	})
	a := w.call(t, "GET", "/api/health", "", nil).want(t, "health", 500, "internal")
	if strings.Contains(a.text, "secret") || strings.Contains(a.text, "goroutine") || a.header.Get("X-Request-Id") == "" {
		t.Errorf("%s %v", a.text, a.header)
	}
	if !strings.Contains(w.log.String(), "a secret detail") || !strings.Contains(w.log.String(), a.header.Get("X-Request-Id")) {
		t.Error("the log does not say what happened")
	}
	w.call(t, "GET", "/api/", "", nil).want(t, "afterwards", 200, "")
}

func TestHealthSaysThatTheStoreIsDown(t *testing.T) {
	down := errors.New("disk on fire at /secret/path")
	w := newWorld(t, func(c *syncserver.Config) { c.Health = func(context.Context) error { return down } })
	a := w.call(t, "GET", "/api/health", "", nil)
	if a.status != 503 || a.at("server.status") != "degraded" || a.at("database.status") != "down" || strings.Contains(a.text, "secret") {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := w.call(t, "GET", "/sync/health", "", nil); a.status != 503 || a.str("status") != "stalled" {
		t.Errorf("%d %s", a.status, a.text)
	}
}

func TestStoreThatCannotWriteRefusesPushesAndAnswersPulls(t *testing.T) {
	w := newWorld(t)
	token, _ := w.login(t, newDevice(1))
	w.heap(t, token, "h")
	w.push(t, token, item("h", "b", "update", b64(word(1, 0, "x"))))
	for _, tt := range []struct {
		err    error
		status int
		code   string
	}{{blocks.ErrFull, 507, "storage_full"}, {blocks.ErrUnavailable, 503, "unavailable"}, {blocks.ErrFailed, 503, "unavailable"}} {
		w.store.Inject(storetest.Fault{Method: "Commit", Err: tt.err, Times: -1})
		body := object{"blocks": []any{item("h", "b", "update", b64(word(1, 1, "y")))}}
		a := w.call(t, "POST", "/api/sync/push", token, body).want(t, "push", tt.status, tt.code)
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		mixed := w.push(t, token, item("h", "b", "update", b64(word(1, 0, "x"))), item("h", "b", "update", b64(word(1, 1, "y"))))
		if mixed.statuses() != "duplicate unavailable" || mixed.at("results.1.error.code") != tt.code {
			t.Errorf("mixed: %s", mixed.text)
		}
		if a := w.pull(t, token, item("h", "b")); a.at("blocks.0.state") != b64(word(1, 0, "x")) {
			t.Errorf("pull: %s", a.text)
		}
		w.store.Heal()
	}
	if a := w.push(t, token, item("h", "b", "update", b64(word(1, 1, "y")))); a.statuses() != "applied" {
		t.Errorf("after recovery: %s", a.text)
	}
	w.store.Inject(storetest.Fault{Method: "State", Fail: true})
	w.call(t, "POST", "/api/sync/pull", token, object{"blocks": []any{item("h", "b")}}).want(t, "a read that fails", 500, "internal")
	if bytes.Contains([]byte(w.log.String()), []byte(token)) {
		t.Error("the token is in the log")
	}
}
