package syncserver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// readJSON decodes the body into v. An empty body leaves v as it is. Unknown
// fields are ignored. Anything that is not one JSON value is a problem "invalid".
func readJSON(r *http.Request, v any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return newProblem(400, "invalid", "the body ended before it was complete")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		var wrongType *json.UnmarshalTypeError
		if errors.As(err, &wrongType) && wrongType.Field != "" {
			return badField(fieldName(wrongType.Field), "must be "+jsonTypeName(wrongType)+", not "+wrongType.Value)
		}
		var own *Problem
		if errors.As(err, &own) {
			return own
		}
		return newProblem(400, "invalid", "the body is not the JSON that this route takes: "+strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// fieldName leaves out of a field's path the structs that share their fields with the
// request: clients do not know them.
func fieldName(path string) string {
	for {
		first, rest, found := strings.Cut(path, ".")
		if !found || !strings.HasSuffix(first, "Request") {
			return path
		}
		path = rest
	}
}

func jsonTypeName(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "slice", "array":
		return "an array"
	case "struct", "map":
		return "an object"
	default:
		return "a number"
	}
}

func writeJSON(w http.ResponseWriter, v any) error { return writeJSONStatus(w, http.StatusOK, v) }

// encodeJSON ends with a line feed and leaves <, > and & as they are: nothing
// here is ever put into HTML.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return b.Bytes(), nil
}

func writeJSONStatus(w http.ResponseWriter, status int, v any) error {
	body, err := encodeJSON(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
	return nil
}

// Binary is bytes inside JSON: written as standard base64, read as that, as
// unpadded or URL-safe base64, or as an array of byte numbers.
type Binary []byte

func (b Binary) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 2+base64.StdEncoding.EncodedLen(len(b)))
	out = append(out, '"')
	out = base64.StdEncoding.AppendEncode(out, b)
	return append(out, '"'), nil
}

func (b *Binary) UnmarshalJSON(text []byte) error {
	switch {
	case bytes.Equal(text, []byte("null")):
		*b = nil
		return nil
	case len(text) > 0 && text[0] == '[':
		var numbers []uint8Number
		if err := json.Unmarshal(text, &numbers); err != nil {
			return newProblem(400, "invalid", "an array of bytes must hold numbers from 0 to 255")
		}
		*b = make(Binary, len(numbers))
		for i, n := range numbers {
			(*b)[i] = byte(n)
		}
		return nil
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return newProblem(400, "invalid", "bytes must be base64 text or an array of byte numbers")
	}
	decoded, err := decodeBase64(s)
	if err != nil {
		return newProblem(400, "invalid", "bytes are not base64: "+err.Error())
	}
	*b = decoded
	return nil
}

// decodeBase64 reads either alphabet, padded or not.
func decodeBase64(s string) ([]byte, error) {
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	return encoding.DecodeString(strings.TrimRight(s, "="))
}

type uint8Number byte

func (n *uint8Number) UnmarshalJSON(text []byte) error {
	v, err := strconv.ParseUint(string(text), 10, 8)
	*n = uint8Number(v)
	return err
}
