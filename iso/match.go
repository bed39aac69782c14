package iso

import "bytes"

// keySize bounds a Key; a dialect whose match fields need more does not load.
const keySize = 64

// Key joins a request and its answer: the answer's type without the repeat flag
// and the fields the dialect says the bank echoes. Keys of different versions of
// a dialect are never equal. It is comparable, and holds no card data.
type Key struct {
	mark uint32
	b    [keySize]byte
}

// answerClass is what the dialect says of one answer type.
type answerClass struct {
	mti       MTI
	key       []int // fields of the Key
	equal     []int // fields that must come back, and equal
	ifPresent []int // fields that must be equal when they come back
	program   program
}

func (d *Dialect) class(mti MTI) *answerClass {
	for i := range d.answers {
		if d.answers[i].mti == mti {
			return &d.answers[i]
		}
	}
	return nil
}

// RequestKey sets k to the key the answer to req will carry.
func (d *Dialect) RequestKey(req *Message, k *Key) {
	c := d.class(req.MTI.Response())
	if c == nil {
		*k = Key{}
		return
	}
	c.fill(req, k)
	k.mark = d.mark
}

// AnswerKey sets k to the key of an answer. False: the message is no answer the
// dialect knows, or lacks a field of the key.
func (d *Dialect) AnswerKey(ans *Message, k *Key) bool {
	c := d.class(ans.MTI.Normal())
	if c == nil || !c.fill(ans, k) {
		return false
	}
	k.mark = d.mark
	return true
}

// fill writes every field with its length before it, so that no two different
// messages share a key. False: a field is absent.
func (c *answerClass) fill(m *Message, k *Key) bool {
	*k = Key{}
	k.b[0], k.b[1] = byte(c.mti>>8), byte(c.mti)
	at, whole := 2, true
	for _, field := range c.key {
		value := m.Get(field)
		whole = whole && m.Has(field)
		if at+1+len(value) > keySize {
			return false
		}
		k.b[at] = byte(len(value))
		at += 1 + copy(k.b[at+1:], value)
	}
	return whole
}

// Verify compares an answer with the request it was matched to: the type, a
// response code, and every field the dialect says comes back. The amount (DE4)
// may be smaller only under a response code of partial approval. The error is
// an *EchoError.
func (d *Dialect) Verify(req, ans *Message) error {
	c := d.class(ans.MTI.Normal())
	if c == nil || req.MTI.Response() != c.mti {
		return &EchoError{0}
	}
	if len(ans.Get(39)) == 0 {
		return &EchoError{39}
	}
	for _, field := range c.key {
		if !bytes.Equal(req.Get(field), ans.Get(field)) {
			return &EchoError{field}
		}
	}
	for _, field := range c.equal {
		if req.Has(field) && !d.same(field, req, ans) {
			return &EchoError{field}
		}
	}
	for _, field := range c.ifPresent {
		if req.Has(field) && ans.Has(field) && !d.same(field, req, ans) {
			return &EchoError{field}
		}
	}
	return nil
}

func (d *Dialect) same(field int, req, ans *Message) bool {
	asked, got := req.Get(field), ans.Get(field)
	if field == 4 && len(asked) == len(got) && d.codes[string(ans.Get(39))].Partial {
		return bytes.Compare(got, asked) <= 0
	}
	return ans.Has(field) && bytes.Equal(asked, got)
}
