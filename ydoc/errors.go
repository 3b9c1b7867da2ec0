package ydoc

import (
	"errors"
	"fmt"

	"github.com/heapsync/heapsync/ydoc/lib0"
)

// Kinds of DecodeError, for errors.Is.
var (
	// ErrMalformed says that bytes break a rule of the format, or one that keeps
	// clients from harm.
	ErrMalformed = errors.New("malformed update")
	// ErrTooLarge says that a limit is exceeded.
	ErrTooLarge = errors.New("update exceeds a limit")
)

// DecodeError says why bytes are refused. errors.Is finds its Kind and its Cause.
type DecodeError struct {
	Offset int    // about how many bytes had been read
	Kind   error  // ErrMalformed or ErrTooLarge
	Detail string // what is wrong, without content of the update
	Cause  error  // an error of package lib0, or nil
}

func (e *DecodeError) Error() string {
	text := fmt.Sprintf("%v at offset %d", e.Kind, e.Offset)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns Kind and Cause.
func (e *DecodeError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// decodeError wraps an error of package lib0.
func decodeError(offset int, err error) error {
	kind := ErrMalformed
	if errors.Is(err, lib0.ErrTooMany) || errors.Is(err, lib0.ErrDepth) {
		kind = ErrTooLarge
	}
	return &DecodeError{Offset: offset, Kind: kind, Cause: err}
}

func malformed(offset int, detail string) error {
	return &DecodeError{Offset: offset, Kind: ErrMalformed, Detail: detail}
}

func tooLarge(offset int, detail string) error {
	return &DecodeError{Offset: offset, Kind: ErrTooLarge, Detail: detail}
}
