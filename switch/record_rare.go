package payswitch

import (
	"encoding/binary"

	"github.com/tranzit/tranzit/iso"
)

// rare holds the members of a record that most records lack. They are stored
// after the members every record of the kind has, each as tag, length and
// value, in rising order of tags, with a zero behind the last, so that a member
// added later needs no new layout and costs nothing where it is absent.
type rare struct {
	carried    *iso.Carried // recordIntent: what the payment carries; nil: nothing
	networkID  string       // recordAnswered: the card network's id of the payment
	chip       string       // recordAnswered: what the answer has for the card's chip
	authorized int64        // recordAnswered, recordClosed: what was approved, when it is a part; 0: all

	token    ID     // recordIntent: the saved card it is paid by; recordAnswered: the one it made
	customer string // recordIntent: the shop's name for the payer

	schedule ID     // recordIntent: of whose series it is
	run      uint32 // and its number there, 0: of the shop's own schedule

	attempt uint32 // recordIntent: its number among the attempts at an order that is paid once

	checkout ID // recordIntent: the checkout session it pays

	// recordOperation, recordReversalSent, recordOperationSent: the version of the
	// dialect that the message is built in, when it is not that of the payment's, or
	// the operation's, request; and of an operation the type of its message.
	spoken      iso.Revision
	requestType iso.MTI
}

// The tags are stored: never reuse one.
const (
	rareEnd             = 0
	rareThreeDSVersion  = 1 // 1 to 12: what the payment carries
	rareChannel         = 2
	rareCredential      = 3
	rareInitialID       = 4
	rareNetworkToken    = 5
	rareTokenRequestor  = 6
	rareWallet          = 7
	rareInstalmentCount = 8
	rareInstalmentPlan  = 9
	rareInstalmentType  = 10
	rareAcceptPartial   = 11
	rareCardSequence    = 12

	rareNetworkID  = 20
	rareAuthorized = 21
	rareChip       = 22

	rareToken    = 40
	rareCustomer = 41

	rareAttempt  = 60
	rareSchedule = 61
	rareRun      = 62

	rareCheckout = 80

	rareDialect        = 90
	rareDialectVersion = 91
	rareRequestType    = 92
)

func (x *rare) encode(dst []byte) []byte {
	if x.carried != nil {
		dst = encodeCarried(dst, x.carried)
	}
	dst = appendRare(dst, rareNetworkID, x.networkID)
	dst = appendRareNumber(dst, rareAuthorized, uint64(x.authorized))
	dst = appendRare(dst, rareChip, x.chip)
	dst = appendRareID(dst, rareToken, x.token)
	dst = appendRare(dst, rareCustomer, x.customer)
	dst = appendRareNumber(dst, rareAttempt, uint64(x.attempt))
	dst = appendRareID(dst, rareSchedule, x.schedule)
	dst = appendRareNumber(dst, rareRun, uint64(x.run))
	dst = appendRareID(dst, rareCheckout, x.checkout)
	dst = appendRare(dst, rareDialect, x.spoken.Dialect)
	dst = appendRareNumber(dst, rareDialectVersion, uint64(x.spoken.Version))
	dst = appendRareNumber(dst, rareRequestType, uint64(x.requestType))
	return binary.AppendUvarint(dst, rareEnd)
}

// addRare gives the rare members of a record that is no intent, to be filled.
func (r *record) addRare() *rare {
	if r.rare == nil {
		r.rare = &rare{}
	}
	return r.rare
}

// addRare gives the rare members of an intent, to be filled.
func (in *intent) addRare() *rare {
	if in.rare == nil {
		in.rare = &rare{}
	}
	return in.rare
}

// appendRare adds a member, unless it is empty.
func appendRare(dst []byte, tag uint64, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(binary.AppendUvarint(dst, tag), value)
}

// appendRareID adds an id, unless it is zero.
func appendRareID(dst []byte, tag uint64, id ID) []byte {
	if id.IsZero() {
		return dst
	}
	return appendBytes(binary.AppendUvarint(dst, tag), id[:])
}

// appendRareNumber adds a number, unless it is zero.
func appendRareNumber(dst []byte, tag, value uint64) []byte {
	if value == 0 {
		return dst
	}
	var buf [binary.MaxVarintLen64]byte
	return appendBytes(binary.AppendUvarint(dst, tag), binary.AppendUvarint(buf[:0], value))
}

// rare reads what encode wrote. An unknown tag, one out of order or an empty
// member makes the record unreadable: nothing in it may be overlooked.
func (d *decoder) rare() *rare {
	x := &rare{}
	for last := uint64(rareEnd); ; {
		tag := d.uvarint()
		if tag == rareEnd || d.bad {
			return x
		}
		value := d.view()
		d.bad = d.bad || tag <= last || len(value) == 0
		last = tag
		switch tag {
		case rareNetworkID:
			x.networkID = string(value)
		case rareChip:
			x.chip = string(value)
		case rareAuthorized:
			x.authorized = int64(d.rareNumber(value))
			d.bad = d.bad || x.authorized < 0
		case rareToken:
			if d.bad = d.bad || len(value) != len(ID{}); !d.bad {
				x.token = ID(value)
			}
		case rareCustomer:
			x.customer = string(value)
		case rareAttempt:
			x.attempt = uint32(d.rareNumber(value))
		case rareCheckout:
			if d.bad = d.bad || len(value) != len(ID{}); !d.bad {
				x.checkout = ID(value)
			}
		case rareSchedule:
			if d.bad = d.bad || len(value) != len(ID{}); !d.bad {
				x.schedule = ID(value)
			}
		case rareRun:
			x.run = uint32(d.rareNumber(value))
		case rareDialect:
			x.spoken.Dialect = string(value)
		case rareDialectVersion:
			x.spoken.Version = int(uint32(d.rareNumber(value)))
		case rareRequestType:
			x.requestType = iso.MTI(d.rareNumber(value))
		default:
			if x.carried == nil {
				x.carried = &iso.Carried{}
			}
			d.bad = d.bad || !decodeCarried(x.carried, tag, value)
		}
	}
}

// rareNumber reads what appendRareNumber wrote as the value of a member.
func (d *decoder) rareNumber(value []byte) uint64 {
	v, n := binary.Uvarint(value)
	d.bad = d.bad || n != len(value) || v == 0
	return v
}
