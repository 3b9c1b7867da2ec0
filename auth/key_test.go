package auth_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/edwards25519"
	"github.com/mr-tron/base58"

	"github.com/heapsync/heapsync/auth"
)

// smallOrder is every encoding of a point of order 1, 2, 4 or 8 that decoders in
// use accept: 8 points, and 6 more ways to write some of them.
var smallOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"0100000000000000000000000000000000000000000000000000000000000080",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeysOfSmallOrderAreRefused(t *testing.T) {
	seen := map[string]bool{}
	for _, text := range smallOrder {
		b := unhex(t, text)
		p, err := new(edwards25519.Point).SetBytes(b)
		if err != nil || p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) != 1 {
			t.Fatalf("%s is no point of small order: the table is wrong", text)
		}
		seen[text] = true
		_, err = auth.ParsePublicKey(base58.Encode(b))
		want(t, text, err, auth.ErrInvalidKey)
	}
	if len(seen) != 14 {
		t.Errorf("%d encodings, want 14", len(seen))
	}
}

func TestKeysOfMixedOrderAreRefused(t *testing.T) {
	good, err := new(edwards25519.Point).SetBytes(base58Bytes(t, newDevice(1).publicKey))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, text := range smallOrder {
		torsion, err := new(edwards25519.Point).SetBytes(unhex(t, text))
		if err != nil {
			t.Fatal(err)
		}
		sum := new(edwards25519.Point).Add(good, torsion)
		_, err = auth.ParsePublicKey(base58.Encode(sum.Bytes()))
		if sum.Equal(good) == 1 { // the torsion point is the identity
			want(t, "itself", err, nil)
			continue
		}
		want(t, text, err, auth.ErrInvalidKey)
		refused++
	}
	if refused < 7 {
		t.Errorf("only %d mixed points tried", refused)
	}
}

func TestKeysThatAreNotCanonicalAreRefused(t *testing.T) {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	points := 0
	for k := range int64(19) { // all y that do not fit below p
		for _, sign := range []byte{0, 0x80} {
			b := new(big.Int).Add(p, big.NewInt(k)).FillBytes(make([]byte, 32))
			slices.Reverse(b)
			b[31] |= sign
			if _, err := new(edwards25519.Point).SetBytes(b); err == nil {
				points++
			}
			_, err := auth.ParsePublicKey(base58.Encode(b))
			want(t, hex.EncodeToString(b), err, auth.ErrInvalidKey)
		}
	}
	if points < 10 {
		t.Errorf("only %d of them are points", points)
	}
}

func TestKeyTextsThatAreNotKeysAreRefused(t *testing.T) {
	good := newDevice(1).publicKey
	for name, text := range map[string]string{
		"empty":              "",
		"zero bytes":         strings.Repeat("1", 32),
		"44 ones":            strings.Repeat("1", 44),
		"31 bytes":           base58.Encode(bytes.Repeat([]byte{9}, 31)),
		"33 bytes":           base58.Encode(bytes.Repeat([]byte{9}, 33)),
		"a leading one":      "1" + good,
		"one fewer":          good[1:],
		"a space before":     " " + good,
		"a space after":      good + " ",
		"a line end":         good + "\n",
		"not in alphabet":    "0OIl" + good[4:],
		"beyond ASCII":       good[:len(good)-2] + "é",
		"NUL":                good[:len(good)-1] + "\x00",
		"200 KB":             strings.Repeat("z", 200<<10),
		"hex":                hex.EncodeToString(base58Bytes(t, good)),
		"not on the curve":   base58.Encode(append([]byte{2}, make([]byte, 31)...)),
		"largest in 44":      strings.Repeat("z", 44),
		"the same, other":    strings.ToLower(good),
		"ones and then junk": strings.Repeat("1", 31) + "é",
	} {
		_, err := auth.ParsePublicKey(text)
		want(t, name, err, auth.ErrInvalidKey)
	}
}

// Decoding base58 is quadratic: this takes half a minute if length is not looked
// at first.
func TestLongTextsAreRefusedAtOnce(t *testing.T) {
	long := strings.Repeat("z", 200<<10)
	start := time.Now()
	for range 50 {
		_, err := auth.ParsePublicKey(long)
		want(t, "key", err, auth.ErrInvalidKey)
		_, err = auth.ParseSignature(long)
		want(t, "signature", err, auth.ErrInvalidSignature)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
}

func TestOrdinaryKeysAreAccepted(t *testing.T) {
	for n := range int64(200) {
		text := newDevice(n).publicKey
		key, err := auth.ParsePublicKey(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if key.String() != text {
			t.Errorf("%s comes back as %s", text, key)
		}
	}
}

func TestSignatureTextsThatAreNotSignaturesAreRefused(t *testing.T) {
	good := newDevice(1).sign("text")
	for name, text := range map[string]string{
		"empty":           "",
		"63 bytes":        base58.Encode(bytes.Repeat([]byte{9}, 63)),
		"65 bytes":        base58.Encode(bytes.Repeat([]byte{9}, 65)),
		"hex":             strings.Repeat("ab", 64),
		"not in alphabet": "0" + good[1:],
		"a space":         good + " ",
		"200 KB":          strings.Repeat("z", 200<<10),
		"beyond ASCII":    good[:len(good)-2] + "é",
	} {
		_, err := auth.ParseSignature(text)
		want(t, name, err, auth.ErrInvalidSignature)
	}
}

// Every way to bend a good signature that is known to have worked somewhere.
func TestBentSignaturesDoNotVerify(t *testing.T) {
	d, other := newDevice(1), newDevice(2)
	key, err := auth.ParsePublicKey(d.publicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("a challenge")
	good := ed25519.Sign(d.private, text)
	r, s := good[:32], good[32:]
	identity := unhex(t, smallOrder[0])
	ph, err := d.private.Sign(nil, text, &ed25519.Options{Context: "heapsync login"})
	if err != nil {
		t.Fatal(err)
	}
	vectors := map[string][]byte{
		"zero":                    make([]byte, 64),
		"R identity, S zero":      append(slices.Clone(identity), make([]byte, 32)...),
		"R not canonical, S zero": append(unhex(t, smallOrder[10]), make([]byte, 32)...),
		"S plus L":                append(slices.Clone(r), plusOrder(t, s, 1)...),
		"S plus 2L":               append(slices.Clone(r), plusOrder(t, s, 2)...),
		"S negated":               append(slices.Clone(r), negated(t, s)...),
		"R and S swapped":         append(slices.Clone(s), r...),
		"R of another text":       append(ed25519.Sign(d.private, []byte("b"))[:32], s...),
		"S of another text":       append(slices.Clone(r), ed25519.Sign(d.private, []byte("b"))[32:]...),
		"another text":            ed25519.Sign(d.private, []byte("b")),
		"another key":             ed25519.Sign(other.private, text),
		"with a context":          ph,
		"all ones":                bytes.Repeat([]byte{0xff}, 64),
	}
	for i := range 64 {
		bent := slices.Clone(good)
		bent[i] ^= 1 << (i % 8)
		vectors["bit of byte "+string(rune('0'+i))] = bent
	}
	for _, top := range []byte{0x20, 0x40, 0x80} {
		bent := slices.Clone(good)
		bent[63] |= top
		vectors["high bit of S "+hex.EncodeToString([]byte{top})] = bent
	}
	if !key.Verify(text, auth.Signature(good)) {
		t.Fatal("the good signature does not verify")
	}
	for name, sig := range vectors {
		parsed, err := auth.ParseSignature(base58.Encode(sig))
		if err != nil && !errors.Is(err, auth.ErrInvalidSignature) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && key.Verify(text, parsed) {
			t.Errorf("%s: verifies", name)
		}
	}
}

// plusOrder returns the scalar s plus n times the group's order.
func plusOrder(t *testing.T, s []byte, n int64) []byte {
	l, ok := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	if !ok {
		t.Fatal("bad order")
	}
	be := slices.Clone(s)
	slices.Reverse(be)
	sum := new(big.Int).Add(new(big.Int).SetBytes(be), l.Mul(l, big.NewInt(n)))
	out := sum.FillBytes(make([]byte, 32))
	slices.Reverse(out)
	return out
}

func negated(t *testing.T, s []byte) []byte {
	scalar, err := edwards25519.NewScalar().SetCanonicalBytes(s)
	if err != nil {
		t.Fatal(err)
	}
	return scalar.Negate(scalar).Bytes()
}

func base58Bytes(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base58.Decode(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(newDevice(1).publicKey)
	for _, text := range smallOrder {
		f.Add(base58.Encode(unhex(f, text)))
	}
	f.Add(strings.Repeat("1", 32))
	f.Add("0OIl é")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := auth.ParsePublicKey(text)
		if err != nil {
			if !errors.Is(err, auth.ErrInvalidKey) || key != (auth.PublicKey{}) {
				t.Fatalf("%x, %v", key, err)
			}
			return
		}
		if key.String() != text {
			t.Fatalf("%q comes back as %q", text, key)
		}
		p, err := new(edwards25519.Point).SetBytes(key[:])
		if err != nil || !bytes.Equal(p.Bytes(), key[:]) {
			t.Fatalf("accepted a key that is not canonical: %x", key)
		}
		// A torsion-free point survives a round of clearing the cofactor.
		inv, _ := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{8}, make([]byte, 31)...))
		back := new(edwards25519.Point).ScalarMult(inv.Invert(inv), new(edwards25519.Point).MultByCofactor(p))
		if back.Equal(p) != 1 {
			t.Fatalf("accepted a key with torsion: %x", key)
		}
	})
}

func FuzzParseSignature(f *testing.F) {
	f.Add(newDevice(1).sign("text"))
	f.Add(strings.Repeat("1", 64))
	f.Add(strings.Repeat("z", 90))
	key, err := auth.ParsePublicKey(newDevice(1).publicKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sig, err := auth.ParseSignature(text)
		if err != nil {
			if !errors.Is(err, auth.ErrInvalidSignature) {
				t.Fatal(err)
			}
			return
		}
		if again, err := auth.ParseSignature(sig.String()); err != nil || again != sig {
			t.Fatalf("%q comes back as %q", text, sig)
		}
		if key.Verify([]byte("a text nobody signed"), sig) {
			t.Fatal("forged")
		}
	})
}
