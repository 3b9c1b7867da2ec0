package auth_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mr-tron/base58"

	"github.com/heapsync/heapsync/auth"
)

// signer holds a key in a language that is not Go: it prints its public key, and
// the signature of its argument, both in hex.
const signer = `
const crypto = require('node:crypto')
const seed = Buffer.from('heapsync interop test, 32 bytes.')
const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
const key = crypto.createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
const raw = crypto.createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
console.log(raw.toString('hex'), crypto.sign(null, Buffer.from(process.argv[1]), key).toString('hex'))`

func TestNodeLogsIn(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("REQUIRE_TESTS"), ","), "interop") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	run := func(text string) (publicKey, signature string) {
		out, err := exec.CommandContext(t.Context(), node, "-e", signer, "--", text).Output()
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(string(out))
		return base58.Encode(unhex(t, words[0])), base58.Encode(unhex(t, words[1]))
	}
	w := newWorld(t, func(c *auth.Config) { c.Mode = auth.ModeOpen })
	publicKey, _ := run("")
	text, err := w.CreateChallenge(t.Context(), publicKey, "", home)
	if err != nil {
		t.Fatal(err)
	}
	_, signature := run(text)
	out, err := w.Login(t.Context(), auth.LoginRequest{PublicKey: publicKey, Message: text, Signature: signature, From: home})
	if err != nil {
		t.Fatal(err)
	}
	w.good(t, "its token", out.Tokens.Access)
}
