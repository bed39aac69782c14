package iso

import "github.com/tranzit/tranzit/iso/security"

// pinRules are the block security.pin of a dialect: how PIN blocks go to the bank.
type pinRules struct {
	format  security.PINFormat
	slot    string
	control string // of pin_control; empty: nothing
}

// pinFormats are the words of the file.
var pinFormats = []string{"0", "1", "3", "4"}

// PIN is the format of PIN blocks that the bank takes (ISO 9564-1) and the
// dialect's name of the key that they are under. False: it takes none.
func (d *Dialect) PIN() (f security.PINFormat, slot string, ok bool) {
	if d.pin == nil {
		return 0, "", false
	}
	return d.pin.format, d.pin.slot, true
}

// CarriesPIN reports whether the operation's message has a field for a PIN block.
// The error is a *CarryError.
func (d *Dialect) CarriesPIN(op Operation) error {
	if !d.Supports(op) || d.requests[op].has&(1<<srcPINBlock) == 0 {
		return &CarryError{Operation: op, Source: sourceRules[srcPINBlock].name}
	}
	return nil
}

// PINBlock is the PIN block of a request, for simulators; nil: none. It aliases req.
func (d *Dialect) PINBlock(req *Message) []byte { return d.secretOf(req, srcPINBlock) }

func (l *loader) pinBlock(s *section) {
	if s == nil {
		return
	}
	r := &pinRules{slot: s.slot("key")}
	r.format = []security.PINFormat{0, 0, 1, 3, 4}[s.oneOf("format", pinFormats)+1]
	if s.has("control") {
		r.control = s.text("control", `"2001010100000000"`, 96)
	}
	s.done()
	l.d.pin = r
}

// checkPIN holds a field or a part to the PIN block, or the control, that it takes.
func (l *loader) checkPIN(s *section, src source, row *fieldCodec) {
	switch {
	case l.d.pin == nil:
		s.fail("%s: a PIN needs security.pin: {format: 0, key: pin}", s.path)
	case src == srcPINControl && l.d.pin.control == "":
		s.fail("%s: the file gives no control; write security.pin.control", s.path)
	case src == srcPINControl:
		_, broken := row.fit([]byte(l.d.pin.control), 0, srcConst)
		if broken != ruleNone || row.class == classB || row.prefix == prefixNone && !row.open && len(l.d.pin.control) != int(row.max) {
			s.fail("%s: security.pin.control is no text of the field's length and class", s.path)
		}
	case row.class != classB || int(row.max) < l.d.pin.format.Bytes() || row.prefix == prefixNone && !row.open && int(row.max) != l.d.pin.format.Bytes():
		s.fail("%s: a PIN block of format %d needs a field of class b and %d bytes", s.path, l.d.pin.format, l.d.pin.format.Bytes())
	case row.mask != maskPIN && row.mask != maskSecret:
		s.fail("%s: it carries a PIN block; write mask: pin in its row", s.path)
	}
}
