package iso

import (
	"errors"
	"fmt"
)

// Kind says what is wrong with a message, without any byte of it.
type Kind uint8

// The kinds of a DecodeError.
const (
	KindTruncated Kind = iota + 1 // the message ends inside the field
	KindPrefix                    // the length prefix is not a number
	KindLength                    // longer than the dialect allows
	KindDigits                    // not the digits the field must hold
	KindMTI                       // not four digits
	KindBitmap                    // not a bitmap, or bit 65 set
	KindTrailing                  // bytes after the last field
	KindParts                     // not the parts the dialect lists
)

var kindTexts = [...]string{
	"", "the message ends inside it", "its length prefix is not a number", "it is longer than the dialect allows",
	"it holds something else than digits", "it is not four digits", "it is not a bitmap of this dialect",
	"bytes follow the last field", "it is not made of the parts that the dialect lists",
}

// String explains the kind.
func (k Kind) String() string {
	if int(k) >= len(kindTexts) {
		return "unknown"
	}
	return kindTexts[k]
}

// DecodeError says which field of a received message cannot be read. It never
// quotes bytes. Field 0 is the message type, 1 the bitmap.
type DecodeError struct {
	Field int
	Kind  Kind
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("iso: field %d: %s", e.Field, e.Kind)
}

// FieldError says which field of a message cannot be built or written, and by
// which rule. It never quotes the value.
type FieldError struct {
	Field int
	Rule  string
}

func (e *FieldError) Error() string { return fmt.Sprintf("iso: field %d: %s", e.Field, e.Rule) }

// EchoError says which field of an answer differs from the request it answers.
// Field 0 is the message type.
type EchoError struct{ Field int }

func (e *EchoError) Error() string {
	return fmt.Sprintf("iso: field %d of the answer does not match the request", e.Field)
}

// Why a byte stream has lost its frames: the link must be closed.
var (
	ErrFrameLength = errors.New("iso: the frame's length is not a number")
	ErrFrameSize   = errors.New("iso: the frame is longer than the dialect allows")
	ErrFrameEmpty  = errors.New("iso: a frame of length zero, which the dialect refuses")
	ErrFrameHeader = errors.New("iso: the frame does not begin with the dialect's header")

	// ErrFrameTrailer is that of a stream, and of a message that holds the byte that ends a frame.
	ErrFrameTrailer = errors.New("iso: the byte that ends a frame is not where it belongs")
)

// ErrOperation is returned by Build for an operation the dialect has no message
// for, and by Answer for a message it has no answer to.
var ErrOperation = errors.New("iso: the dialect does not define this message")

// LoadError is one thing wrong with a dialect file, with what to write instead.
type LoadError struct {
	File string
	Line int
	Text string
}

func (e *LoadError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }
