package frontend

import (
	"bytes"

	"github.com/tranzit/tranzit/iso"
	"github.com/tranzit/tranzit/iso/security"
	payswitch "github.com/tranzit/tranzit/switch"
)

const (
	pinPointer      = terminalPointer + "/pin"
	pinBlockPointer = pinPointer + "/block"
	maxPINBlock     = 16
	maxKSN          = 12
	maxPINKey       = 40
)

// pin reads a PIN as the terminal encrypted it; nil when it is refused.
func (d *paymentReader) pin() *payswitch.PIN {
	if !d.object(pinPointer) {
		return nil
	}
	p, format, serial, named := &payswitch.PIN{}, false, false, false
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch string(name) {
		case "format":
			var n int64
			if n, format = d.integer(pinPointer+"/format", 0, 4); n == 2 {
				d.fault(pinPointer+"/format", "unknown_value", "Must be 0, 1, 3 or 4: format 2 is for the line between terminal and chip.")
			}
			p.Format = security.PINFormat(n)
		case "block":
			var buf [2 * maxPINBlock]byte
			if block := d.hexDigits(pinBlockPointer, buf[:0]); len(block) > 0 {
				p.Block = iso.NewSecret(block)
			}
			clear(buf[:])
		case "ksn":
			var buf [2 * maxKSN]byte
			serial = true
			if p.KSN = bytes.Clone(d.hexDigits(pinPointer+"/ksn", buf[:0])); len(p.KSN) > 0 && len(p.KSN) != 10 && len(p.KSN) != maxKSN {
				d.fault(pinPointer+"/ksn", "invalid_length", "Must have 20 hexadecimal digits, of a terminal of triple DES, or 24, of one of AES.")
			}
		case "key":
			if word, is := d.word(pinPointer + "/key"); is {
				named = true
				if p.Key = string(word); len(p.Key) > maxPINKey {
					p.Key = ""
					d.fault(pinPointer+"/key", "too_long", "Must have at most 40 characters.")
				}
			}
		default:
			d.unknown(pinPointer, name)
		}
	}
	d.required(format, pinPointer+"/format")
	d.required(!p.Block.IsZero(), pinBlockPointer)
	d.required(serial || named, pinPointer+"/ksn")
	if serial && named {
		d.fault(pinPointer+"/key", "invalid_value", "Goes without ksn: a block is under one key.")
	}
	if format && !p.Block.IsZero() && p.Block.Len() != p.Format.Bytes() {
		d.fault(pinBlockPointer, "invalid_length", "Must have 16 hexadecimal digits, and 32 of format 4.")
	}
	return p
}
