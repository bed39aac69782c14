package banksim

import (
	"sync"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/iso/security"
)

// TestPIN is the PIN of every card of the bank.
const TestPIN = "1234"

// pinTries is how many wrong PINs in a row block a card for PINs.
const pinTries = 3

// The codes of PINs, as of the 1987 edition.
const (
	codeWrongPIN = "55"
	codePINTries = "75"
)

// pins counts the wrong PINs of cards. A card that is blocked stays so until the
// bank begins anew.
type pins struct {
	mu    sync.Mutex
	wrong map[iso.PAN]int
}

// judge is the declining code for a PIN block, empty: the PIN is right.
func (b *Bank) judge(block, digits []byte) string {
	format, slot, _ := b.cfg.Dialect.PIN()
	pan, err := iso.ParsePAN(digits)
	if err != nil {
		return b.cfg.Codes.BadCard
	}
	present, before := b.keys.get(slot)
	good, read := false, false
	for _, key := range [][]byte{present, before} {
		if key == nil || read {
			continue
		}
		good, err = security.VerifyPIN(security.PINBlock{Format: format, Key: key, Block: block}, TestPIN, string(digits))
		read = err == nil
	}
	if !read {
		return b.cfg.Codes.WrongMAC
	}
	b.pins.mu.Lock()
	defer b.pins.mu.Unlock()
	switch tries := b.pins.wrong[pan]; {
	case tries >= pinTries:
		return codePINTries
	case good:
		delete(b.pins.wrong, pan)
		return ""
	case tries+1 == pinTries:
		b.pins.wrong[pan] = pinTries
		return codePINTries
	default:
		b.pins.wrong[pan] = tries + 1
		return codeWrongPIN
	}
}

// chipKey makes cryptograms of the bank's answers. It is no secret of anybody's.
var chipKey = []byte("tranzit test ARC")

// The tags of chip data that the bank reads and writes.
const (
	tagCryptogram = 0x9F26
	tagIssuerAuth = 0x91
	tagARC        = 0x8A
)

// chipAnswer is what the bank says to the chip whose data came: the response code
// (8A) and, when there was a cryptogram, issuer authentication data (91): a
// cryptogram by method 1 of EMV book 2, section 8.2.1, under a key of the bank's
// own, and the code.
func chipAnswer(chip []byte, code string) *iso.Secrets {
	arc := []byte((code + "  ")[:2])
	out := []byte{}
	if asked := iso.ChipValue(chip, tagCryptogram); len(asked) == 8 {
		out = append(out, tagIssuerAuth, 10)
		out = append(append(out, issuerCryptogram(asked, arc)...), arc...)
	}
	return &iso.Secrets{EMV: iso.NewSecret(append(append(out, tagARC, 2), arc...))}
}

func issuerCryptogram(asked, arc []byte) []byte {
	out := [8]byte(asked)
	for i := range arc {
		out[i] ^= arc[i]
	}
	b, err := security.TDES.Under(chipKey)
	if err != nil {
		panic(err) // the key is a constant
	}
	b.Encrypt(out[:], out[:])
	return out[:]
}
