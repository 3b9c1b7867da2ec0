package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mr-tron/base58"

	"github.com/heapsync/heapsync/ydoc"
	"github.com/heapsync/heapsync/ydoc/lib0"
	"github.com/heapsync/heapsync/ydoc/protocol"
)

// errPending: the account waits for an administrator.
var errPending = errors.New("the account waits for approval")

// demoDevice is a key pair and a server it talks to.
type demoDevice struct {
	url       string
	publicKey string
	private   ed25519.PrivateKey
}

func newDemoDevice(url string) (*demoDevice, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return &demoDevice{url: strings.TrimRight(url, "/"), publicKey: base58.Encode(public), private: private}, nil
}

// login signs a challenge and returns an access token, or errPending.
func (d *demoDevice) login(ctx context.Context) (string, error) {
	var created struct{ Challenge string }
	if err := d.call(ctx, "/api/auth/create_session", "", map[string]any{"public_key": d.publicKey}, &created); err != nil {
		return "", err
	}
	var verified struct {
		AccessToken      string `json:"accessToken"`
		ApprovalRequired bool   `json:"approval_required"`
	}
	err := d.call(ctx, "/api/auth/verify_session", "", map[string]any{
		"public_key": d.publicKey, "message": created.Challenge, "device_name": "heapsync demo",
		"signature": base58.Encode(ed25519.Sign(d.private, []byte(created.Challenge))),
	}, &verified)
	if err == nil && verified.ApprovalRequired {
		err = errPending
	}
	return verified.AccessToken, err
}

// call posts JSON and reads JSON.
func (d *demoDevice) call(ctx context.Context, path, token string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	return d.do(ctx, http.MethodPost, path, token, text, answer)
}

// get reads JSON.
func (d *demoDevice) get(ctx context.Context, path, token string, answer any) error {
	return d.do(ctx, http.MethodGet, path, token, nil, answer)
}

func (d *demoDevice) do(ctx context.Context, method, path, token string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, d.url+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no server answers at %s; start one with heapsync serve: %w", d.url, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s: the server answered %s: %s", path, res.Status, bytes.TrimSpace(text))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// demoClient has one block open over a Hocuspocus socket.
type demoClient struct {
	ws      *websocket.Conn
	address string

	writeMu sync.Mutex // one writer a socket

	// mu guards all below.
	mu      sync.Mutex
	doc     *ydoc.Doc
	acked   int
	edits   int
	wake    chan struct{} // closed and replaced at every change
	failure error
}

// demoRoot is the name of the root text that the demo writes in.
const demoRoot = "content"

func openDemoClient(ctx context.Context, url, token, heap, block string) (*demoClient, error) {
	ws, _, err := websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(strings.TrimRight(url, "/"), "http")+"/ws", nil)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	c := &demoClient{
		ws: ws, address: heap + "/" + block, doc: ydoc.NewDoc(ydoc.Options{}), wake: make(chan struct{}),
	}
	token0 := lib0.AppendVarString(nil, c.address)
	token0 = append(token0, protocol.HAuth, protocol.HAuthToken)
	token0 = lib0.AppendVarString(token0, token)
	token0 = lib0.AppendVarString(token0, "4.0.0")
	err = errors.Join(c.write(token0), c.write(protocol.AppendHSync(nil, c.address, protocol.SyncStep1, []byte{0})))
	go c.read()
	if err == nil { // the answer to our step 2 says that the handshake is done
		err = c.wait(ctx, func() bool { return c.acked > 0 })
	}
	if err != nil {
		c.close()
		return nil, err
	}
	c.mu.Lock()
	c.acked = 0
	c.mu.Unlock()
	return c, nil
}

func (c *demoClient) close() { _ = c.ws.Close() }

func (c *demoClient) write(frame []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	return c.ws.WriteMessage(websocket.BinaryMessage, frame)
}

func (c *demoClient) read() {
	for {
		_, data, err := c.ws.ReadMessage()
		if err == nil {
			err = c.handle(data)
		}
		c.mu.Lock()
		c.failure = err
		close(c.wake)
		c.wake = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *demoClient) handle(data []byte) error {
	if len(data) == 1 {
		return nil // a ping
	}
	r := lib0.NewReader(data)
	_, _, typ, err := protocol.ReadHAddress(r)
	if err != nil {
		return err
	}
	switch typ {
	case protocol.HSync:
		t, payload, err := protocol.ReadSync(r)
		if err != nil {
			return err
		}
		return c.sync(t, payload)
	case protocol.HSyncStatus:
		applied, err := r.VarUint()
		if err != nil || applied != 1 {
			return errors.Join(errors.New("the server refused an edit"), err)
		}
		c.mu.Lock()
		c.acked++
		c.mu.Unlock()
	case protocol.HAuth:
		if kind, err := r.VarUint(); err != nil || kind != protocol.HAuthAuthenticated {
			return errors.Join(errors.New("the server did not let the client open the block"), err)
		}
	}
	return nil
}

func (c *demoClient) sync(t protocol.SyncType, payload []byte) error {
	if t == protocol.SyncStep1 {
		since, err := ydoc.DecodeStateVector(payload)
		if err != nil {
			return err
		}
		c.mu.Lock()
		lacks := c.doc.EncodeDiff(ydoc.V1, since)
		c.mu.Unlock()
		return c.write(protocol.AppendHSync(nil, c.address, protocol.SyncStep2, lacks))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doc.Apply(payload, ydoc.V1)
}

// typeWord appends a word, waits until the server has acknowledged it, and says how
// long that took.
func (c *demoClient) typeWord(ctx context.Context, word string) (time.Duration, error) {
	c.mu.Lock()
	text := c.doc.Text(demoRoot)
	update := c.doc.Transact(func() { text.Insert(text.Len(), word) }).Update(ydoc.V1)
	c.edits++
	want := c.edits
	c.mu.Unlock()
	start := time.Now()
	if err := c.write(protocol.AppendHSync(nil, c.address, protocol.SyncUpdate, update)); err != nil {
		return 0, fmt.Errorf("send an edit: %w", err)
	}
	err := c.wait(ctx, func() bool { return c.acked >= want })
	return time.Since(start), err
}

// wait returns when done says so. done is called with c.mu held.
func (c *demoClient) wait(ctx context.Context, done func() bool) error {
	for {
		c.mu.Lock()
		ok, err, wake := done(), c.failure, c.wake
		c.mu.Unlock()
		if ok {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return fmt.Errorf("the server did not answer: %w", ctx.Err())
		}
	}
}

func (c *demoClient) state() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doc.Encode(ydoc.V1)
}

func (c *demoClient) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doc.Text(demoRoot).String()
}

func (c *demoClient) changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wake
}

func (c *demoClient) acknowledged() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acked
}
