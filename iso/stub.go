package iso

import (
	"errors"
	"time"

	"github.com/moov-io/iso8583"
)

const maxDialectField = 128

type codec struct{}
type program struct{ mti MTI }
type answerClass struct{}
type rrnPart struct{}
type goldenVector struct{}
type tagForm struct{}
type Key struct{ b [64]byte }
type FieldView struct {
	Number      int
	Name, Value string
}

var fromHex [256]uint8
var errStub = errors.New("iso: not ready")

func ParseDialect(name string, yaml []byte) (*Dialect, error)        { return nil, errStub }
func (d *Dialect) Build(op Operation, v *Values, m *Message) error   { return errStub }
func (d *Dialect) Answer(req *Message, v *Values, m *Message) error  { return errStub }
func (d *Dialect) AppendBody(dst []byte, m *Message) ([]byte, error) { return dst, errStub }
func (d *Dialect) Decode(body []byte, m *Message) error              { return errStub }
func (d *Dialect) RequestKey(req *Message, k *Key)                   {}
func (d *Dialect) AnswerKey(ans *Message, k *Key) bool               { return false }
func (d *Dialect) Verify(req, ans *Message) error                    { return errStub }
func (d *Dialect) RRN(seq uint64, at time.Time) string               { return "" }
func (d *Dialect) STAN(seq uint64) STAN                              { return STAN(seq%stanMax + 1) }
func (d *Dialect) Mask(m *Message)                                   {}
func (d *Dialect) Describe(m *Message) []FieldView                   { return nil }
func (d *Dialect) Spec() *iso8583.MessageSpec                        { return nil }
