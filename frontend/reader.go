package frontend

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxDepth bounds the nesting of a request, also inside members that are
	// refused anyway.
	maxDepth = 8
	// maxFaults bounds how many faults one answer lists.
	maxFaults = 16
	// maxInteger is the longest run of digits read as a number.
	maxInteger = 18
)

// fault is one thing wrong with a request. Neither text quotes a value.
type fault struct {
	pointer string // JSON pointer (RFC 6901) of the member, or of the query parameter
	code    string
	detail  string
}

// span is a piece of reader.text.
type span struct{ from, to int32 }

// charset says which characters a text may hold.
type charset uint8

const (
	printable charset = iota // what is seen, and the plain space
	prose                    // printable, line breaks and tabs
	token                    // visible ASCII
)

// reader reads one JSON body token by token, without reflection, straight from
// the bytes of the request. It gathers faults instead of stopping at the first;
// only broken JSON stops it. Texts are copied into one arena. Not goroutine-safe.
type reader struct {
	dec     jsontext.Decoder
	src     bytes.Buffer
	body    []byte
	text    []byte // arena of everything kept
	scratch []byte // an unescaped text that is looked at and not kept
	faults  []fault
	broken  bool
}

// open points the reader at a body. The body must not change until close.
func (d *reader) open(body []byte) {
	d.body = body
	d.src = *bytes.NewBuffer(body)
	d.dec.Reset(&d.src)
	d.text, d.faults, d.broken = d.text[:0], d.faults[:0], false
}

// close forgets the body and overwrites what was copied from it.
func (d *reader) close() {
	d.body = nil
	d.src = bytes.Buffer{}
	d.text, d.scratch = wiped(d.text), wiped(d.scratch)
	clear(d.faults)
}

// keepBuffer is how much scratch memory a request leaves for the next one.
const keepBuffer = 8 << 10

// wiped empties a buffer and overwrites it, or drops it when it is large.
func wiped(b []byte) []byte {
	b = b[:cap(b)]
	clear(b)
	if len(b) > keepBuffer {
		return nil
	}
	return b[:0]
}

func (d *reader) fault(pointer, code, detail string) {
	if len(d.faults) < maxFaults {
		d.faults = append(d.faults, fault{pointer, code, detail})
	}
}

// syntax records that the body is no JSON, or not the strict JSON asked for
// (RFC 7493). Nothing after this point can be trusted.
func (d *reader) syntax(err error) {
	if d.broken {
		return
	}
	d.broken = true
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntactic):
		d.fault(safePointer(string(syntactic.JSONPointer)), "duplicate_field", "This member appears twice.")
	case !utf8.Valid(d.body):
		d.fault("", "invalid_utf8", "The body must be UTF-8.")
	case len(bytes.TrimSpace(d.body)) == 0:
		d.fault("", "invalid_json", "The body is empty.")
	case errors.As(err, &syntactic):
		d.fault("", "invalid_json", "The body is not valid JSON at byte "+strconv.FormatInt(syntactic.ByteOffset, 10)+".")
	default:
		d.fault("", "invalid_json", "The body is not complete JSON.")
	}
}

// finish refuses whatever follows the top-level value.
func (d *reader) finish() {
	if d.broken {
		return
	}
	if _, err := d.dec.ReadToken(); err != io.EOF {
		d.broken = true
		d.fault("", "trailing_data", "Something follows the JSON object.")
	}
}

// object enters an object. Any other value is skipped and refused; null is
// skipped and counts as absent.
func (d *reader) object(pointer string) bool {
	if !d.expect('{', pointer, "an object") {
		return false
	}
	if _, err := d.dec.ReadToken(); err != nil {
		d.syntax(err)
		return false
	}
	return true
}

// member gives the next name of the object that was entered last, or false
// after its end. The name is valid until the next read of a text.
func (d *reader) member() (name []byte, ok bool) {
	if d.broken {
		return nil, false
	}
	if d.peek() == '}' {
		if _, err := d.dec.ReadToken(); err != nil {
			d.syntax(err)
		}
		return nil, false
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		d.syntax(err)
		return nil, false
	}
	return d.unquote(raw), true
}

// unquote gives the characters of a JSON string: the bytes of the request
// themselves when nothing in it is escaped, else a copy in scratch.
func (d *reader) unquote(raw []byte) []byte {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	d.scratch, _ = jsontext.AppendUnquote(d.scratch[:0], raw)
	return d.scratch
}

// peek gives the kind of the next value from its first byte. Where the JSON is
// broken it may be wrong: the read that follows is the one that finds out.
func (d *reader) peek() jsontext.Kind {
	for _, c := range d.body[d.dec.InputOffset():] {
		switch c {
		case ' ', '\t', '\r', '\n', ',', ':':
		case '-', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			return '0'
		default:
			return jsontext.Kind(c)
		}
	}
	return 0
}

// expect reports whether the next value is of a kind. If it is not it is
// skipped: null without a word, anything else as a fault.
func (d *reader) expect(kind jsontext.Kind, pointer, want string) bool {
	if d.broken {
		return false
	}
	got := d.peek()
	if got == kind {
		return true
	}
	if d.skip() && got != 'n' {
		d.fault(pointer, "wrong_type", "Must be "+want+".")
	}
	return false
}

// skip passes over one value of any kind, however deep it claims to be.
func (d *reader) skip() bool {
	base := d.dec.StackDepth()
	for {
		if _, err := d.dec.ReadToken(); err != nil {
			d.syntax(err)
			return false
		}
		depth := d.dec.StackDepth()
		if depth > maxDepth {
			d.broken = true
			d.fault("", "nested_too_deep", "The body is nested more than "+strconv.Itoa(maxDepth)+" levels deep.")
			return false
		}
		if depth <= base {
			return true
		}
	}
}

// unknown refuses a member by name.
func (d *reader) unknown(parent string, name []byte) {
	pointer := parent + "/" + safeName(name)
	if d.skip() {
		d.fault(pointer, "unknown_field", "There is no such member.")
	}
}

// raw reads a JSON string as it stands in the body, quotes included.
func (d *reader) raw(pointer string) ([]byte, bool) {
	if !d.expect('"', pointer, "a string") {
		return nil, false
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		d.syntax(err)
		return nil, false
	}
	return raw, true
}

// word reads a text to compare; it is valid until the next read.
func (d *reader) word(pointer string) ([]byte, bool) {
	raw, ok := d.raw(pointer)
	if !ok {
		return nil, false
	}
	return d.unquote(raw), true
}

// limits of a text, in characters.
type limits struct {
	min, max int
	set      charset
}

// keep reads a text into the arena. A text outside its limits is a fault.
func (d *reader) keep(pointer string, l limits) (span, bool) {
	b, ok := d.word(pointer)
	if !ok {
		return span{}, false
	}
	return d.store(pointer, b, l)
}

func (d *reader) store(pointer string, b []byte, l limits) (span, bool) {
	n, clean := measure(b, l.set)
	switch {
	case n == 0 && l.min > 0:
		d.fault(pointer, "too_short", "Must not be empty.")
		return span{}, false
	case n < l.min:
		d.fault(pointer, "too_short", "Must have at least "+strconv.Itoa(l.min)+" characters.")
		return span{}, false
	case n > l.max:
		d.fault(pointer, "too_long", "Must have at most "+strconv.Itoa(l.max)+" characters.")
		return span{}, false
	case !clean:
		d.fault(pointer, "invalid_characters", "Holds a character that is not allowed here.")
		return span{}, false
	}
	from := int32(len(d.text))
	d.text = append(d.text, b...)
	return span{from, int32(len(d.text))}, true
}

// measure counts characters and reports whether all are of the set.
func measure(b []byte, set charset) (n int, clean bool) {
	ascii := true
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			ascii = false
			break
		}
	}
	if ascii {
		return len(b), true
	}
	clean = true
	for i := 0; i < len(b); n++ {
		r, size := utf8.DecodeRune(b[i:])
		i += size
		switch set {
		case token:
			clean = clean && r > ' ' && r < 0x7f
		case prose:
			clean = clean && (unicode.IsPrint(r) || r == '\n' || r == '\r' || r == '\t')
		default:
			clean = clean && unicode.IsPrint(r)
		}
	}
	return n, clean
}

// integer reads a whole number within bounds. 1.0 and 1e2 are refused: they are
// numbers that another parser may read as another amount.
func (d *reader) integer(pointer string, low, high int64) (int64, bool) {
	if !d.expect('0', pointer, "a whole number") {
		return 0, false
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		d.syntax(err)
		return 0, false
	}
	digits, negative := bytes.CutPrefix(raw, []byte("-"))
	if bytes.ContainsAny(digits, ".eE") {
		d.fault(pointer, "not_an_integer", "Must be a whole number, without fraction or exponent.")
		return 0, false
	}
	v := int64(-1)
	if !negative && len(digits) <= maxInteger {
		v = 0
		for _, c := range digits {
			v = v*10 + int64(c-'0')
		}
	}
	if v < low || v > high {
		d.fault(pointer, "out_of_range", "Must be "+strconv.FormatInt(low, 10)+" to "+strconv.FormatInt(high, 10)+".")
		return 0, false
	}
	return v, true
}

// boolean reads true or false.
func (d *reader) boolean(pointer string) bool {
	if d.broken {
		return false
	}
	if d.peek() != 't' && !d.expect('f', pointer, "true or false") {
		return false
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		d.syntax(err)
		return false
	}
	return string(raw) == "true"
}

const (
	safeNameMax   = 64
	safeDigitsMax = 8
)

// safeName is a member's name fit for an answer and a log: short, escaped as
// in a JSON pointer, and without its digits when there are so many that it may
// be a card number in the wrong place.
func safeName(name []byte) string {
	digits := 0
	for _, c := range name {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	var b strings.Builder
	for _, r := range string(name) {
		if b.Len() >= safeNameMax {
			b.WriteString("...")
			break
		}
		switch {
		case r == '~':
			b.WriteString("~0")
		case r == '/':
			b.WriteString("~1")
		case unicode.IsDigit(r) && digits > safeDigitsMax, !unicode.IsPrint(r):
			b.WriteByte('*')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// safePointer is safeName for each part of a pointer made by the JSON library.
func safePointer(pointer string) string {
	parts := strings.Split(pointer, "/")
	for i, part := range parts {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		parts[i] = safeName([]byte(part))
	}
	return strings.Join(parts, "/")
}
