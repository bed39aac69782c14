package frontend

import (
	"bytes"
	"strconv"
)

// fieldScanner reads structured fields (RFC 9651) of the kinds that signatures
// are written in, and those in canonical form only: then the bytes as they came
// are what is signed. bad is set by anything else, and stays.
type fieldScanner struct {
	rest []byte
	bad  bool
}

// more steps over the comma before the next member of a dictionary. A broken or
// empty field ends with bad.
func (d *fieldScanner) more(first bool) bool {
	if d.bad {
		return false
	}
	if first {
		return true
	}
	if len(d.rest) == 0 {
		return false
	}
	d.rest = bytes.TrimLeft(d.rest, " \t")
	d.skip(",")
	d.rest = bytes.TrimLeft(d.rest, " \t")
	return !d.bad
}

// skip takes text that must stand next.
func (d *fieldScanner) skip(text string) {
	rest, ok := bytes.CutPrefix(d.rest, []byte(text))
	d.rest, d.bad = rest, d.bad || !ok
}

func (d *fieldScanner) next(ch byte) bool {
	return !d.bad && len(d.rest) > 0 && d.rest[0] == ch
}

// key is a name of a member or parameter.
func (d *fieldScanner) key() []byte {
	n := 0
	for n < len(d.rest) && (isLower(d.rest[n]) || d.rest[n] == '*' || n > 0 && (isDigit(d.rest[n]) || bytes.IndexByte([]byte("_-."), d.rest[n]) >= 0)) {
		n++
	}
	return d.cut(n, n > 0)
}

func (d *fieldScanner) cut(n int, ok bool) []byte {
	if d.bad = d.bad || !ok; d.bad {
		return nil
	}
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out
}

func isLower(ch byte) bool { return ch >= 'a' && ch <= 'z' }
func isDigit(ch byte) bool { return ch >= '0' && ch <= '9' }

// text is what stands between quotes. Escapes are not taken.
func (d *fieldScanner) text() []byte {
	d.skip(`"`)
	n := 0
	for n < len(d.rest) && d.rest[n] != '"' && d.rest[n] != '\\' && d.rest[n] >= ' ' && d.rest[n] < 0x7f {
		n++
	}
	out := d.cut(n, true)
	d.skip(`"`)
	return out
}

// seconds is a time since 1970.
func (d *fieldScanner) seconds() int64 {
	n := 0
	for n < len(d.rest) && isDigit(d.rest[n]) {
		n++
	}
	digits := d.cut(n, n > 0 && n <= 12 && d.rest[0] != '0')
	value, err := strconv.ParseInt(string(digits), 10, 64)
	d.bad = d.bad || err != nil
	return value
}

// byteMember is a member of a dictionary whose value is a byte sequence, in
// base64.
func (d *fieldScanner) byteMember() (name, value []byte) {
	name = d.key()
	d.skip("=:")
	end := bytes.IndexByte(d.rest, ':')
	value = d.cut(max(end, 0), end >= 0)
	d.skip(":")
	return name, value
}

// signatureInput is one member of Signature-Input. What it is not sure of makes
// it report false.
func (d *fieldScanner) signatureInput(s *signature) bool {
	s.label = d.key()
	d.skip("=")
	begin := d.rest
	d.skip("(")
	for !d.bad && !d.next(')') {
		if len(s.components) > 0 {
			d.skip(" ")
		}
		s.components = append(s.components, d.text())
		d.bad = d.bad || len(s.components) > maxComponents
	}
	d.skip(")")
	seen := map[string]bool{}
	for d.next(';') {
		d.skip(";")
		name := string(d.key())
		d.skip("=")
		d.bad = d.bad || seen[name]
		seen[name] = true
		switch name {
		case "created":
			s.created = d.seconds()
		case "expires":
			s.expires = d.seconds()
		case "keyid":
			s.keyID = d.text()
		case "alg":
			s.alg = d.text()
		case "nonce":
			s.nonce = d.text()
		case "tag":
			d.text()
		default:
			d.bad = true
		}
	}
	if !d.bad {
		s.params = begin[:len(begin)-len(d.rest)]
	}
	return !d.bad
}
