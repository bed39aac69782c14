package payswitch

import "encoding/binary"

// rare holds the members of a record that most records lack. They are stored
// after the members every record of the kind has, each as tag, length and
// value, in rising order of tags, with a zero behind the last, so that a member
// added later needs no new layout and costs nothing where it is absent.
type rare struct {
	threeDSVersion string // recordIntent: protocol version of the authentication the shop did itself
}

// The tags are stored: never reuse one.
const (
	rareEnd            = 0
	rareThreeDSVersion = 1
)

func (x *rare) encode(dst []byte) []byte {
	dst = appendRare(dst, rareThreeDSVersion, x.threeDSVersion)
	return binary.AppendUvarint(dst, rareEnd)
}

// appendRare adds a member, unless it is empty.
func appendRare(dst []byte, tag uint64, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(binary.AppendUvarint(dst, tag), value)
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
		case rareThreeDSVersion:
			x.threeDSVersion = string(value)
		default:
			d.bad = true
		}
	}
}
