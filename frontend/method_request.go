package frontend

import (
	"bytes"
	"encoding/hex"
	"strings"

	"github.com/tranzit/tranzit/iso"
)

// Limits of network tokens and of cards that are present.
const (
	maxCryptogram  = 64
	maxTrack2      = 37
	maxEMV         = iso.MaxChip
	maxRequestorID = 11

	networkTokenPointer = "/payment_method/network_token"
	terminalPointer     = "/payment_method/card_present"
)

// methodSeen says of a kind of method that few payments have whether the type
// names it and whether its object was there.
type methodSeen struct{ chosen, there bool }

// secrets gives the request's secrets, to be filled.
func (d *paymentReader) secrets() *iso.Secrets {
	if d.out.Secrets == nil {
		d.out.Secrets = &iso.Secrets{}
	}
	return d.out.Secrets
}

// networkToken reads the token that a card network put in place of the card's
// number. It is treated as a card number.
func (d *paymentReader) networkToken() {
	if !d.object(networkTokenPointer) {
		return
	}
	d.seen.networkToken.there = true
	c := d.carried()
	c.NetworkToken = true
	var number, month, year bool
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch string(name) {
		case "number":
			d.number(networkTokenPointer + "/number")
			number = true
		case "exp_month":
			d.month(networkTokenPointer + "/exp_month")
			month = true
		case "exp_year":
			d.year(networkTokenPointer + "/exp_year")
			year = true
		case "cryptogram":
			d.secrets().Cryptogram = d.secret(networkTokenPointer+"/cryptogram", maxCryptogram, base64Digit)
		case "eci":
			d.more.tokenECI = d.eciAt(networkTokenPointer + "/eci")
		case "wallet":
			const pointer = networkTokenPointer + "/wallet"
			if word, ok := d.word(pointer); ok {
				var known bool
				if c.Wallet, known = iso.ParseWallet(string(word)); !known {
					d.fault(pointer, "unknown_value", `Must be "apple_pay", "google_pay", "samsung_pay", "mir_pay" or "other".`)
				}
			}
		case "token_requestor_id":
			d.more.requestor = d.digitsAt(networkTokenPointer+"/token_requestor_id", limits{1, maxRequestorID, token})
		default:
			d.unknown(networkTokenPointer, name)
		}
	}
	d.required(number, networkTokenPointer+"/number")
	d.required(month, networkTokenPointer+"/exp_month")
	d.required(year, networkTokenPointer+"/exp_year")
}

// required refuses what lacks a member that was not refused already.
func (d *paymentReader) required(there bool, pointer string) {
	if !there && !d.broken && !d.faulty(pointer) {
		d.fault(pointer, "required", "This member is required.")
	}
}

// digitsAt keeps a text of digits.
func (d *paymentReader) digitsAt(pointer string, l limits) span {
	s, ok := d.keep(pointer, l)
	if ok && !allDigits(d.text[s.from:s.to]) {
		d.fault(pointer, "invalid_format", "Must be digits.")
	}
	return s
}

func base64Digit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '+' || c == '/' || c == '=' || c == '-' || c == '_'
}

// secret takes authentication data from the token's bytes, never through the
// arena of texts. An escape is refused as a character that is not allowed.
func (d *paymentReader) secret(pointer string, most int, allowed func(byte) bool) iso.Secret {
	raw, ok := d.raw(pointer)
	if !ok {
		return iso.Secret{}
	}
	value := raw[1 : len(raw)-1]
	switch {
	case len(value) == 0:
		d.fault(pointer, "too_short", "Must not be empty.")
	case len(value) > most:
		d.fault(pointer, "too_long", "Is longer than any such data.")
	case bytes.ContainsFunc(value, func(c rune) bool { return c > 0x7f || !allowed(byte(c)) }):
		d.fault(pointer, "invalid_characters", "Holds a character that is not allowed here.")
	default:
		return iso.NewSecret(value)
	}
	return iso.Secret{}
}

// terminal reads what a terminal read of a card that is present.
func (d *paymentReader) terminal() {
	if !d.object(terminalPointer) {
		return
	}
	d.seen.terminal.there = true
	c, secrets := d.carried(), d.secrets()
	entry := false
	for name, ok := d.member(); ok; name, ok = d.member() {
		switch string(name) {
		case "entry":
			const pointer = terminalPointer + "/entry"
			word, is := d.word(pointer)
			if entry = is; is {
				var known bool
				if c.Channel, known = iso.ParseChannel(string(word)); !known || !c.Channel.CardPresent() {
					d.fault(pointer, "unknown_value", `Must be "magnetic", "chip" or "contactless".`)
				}
			}
		case "track2":
			secrets.Track2 = d.track2()
		case "emv":
			secrets.EMV = d.emv()
		case "sequence":
			if d.more.sequence = d.digitsAt(terminalPointer+"/sequence", limits{3, 3, token}); d.more.sequence != (span{}) {
				d.seen.carried = true
			}
		case "pin":
			d.out.PIN = d.pin()
		default:
			d.unknown(terminalPointer, name)
		}
	}
	d.required(entry, terminalPointer+"/entry")
	d.required(!secrets.Track2.IsZero(), track2Pointer)
	if c.Channel == iso.ChannelChip {
		d.required(!secrets.EMV.IsZero(), emvPointer)
	}
}

const (
	track2Pointer = terminalPointer + "/track2"
	emvPointer    = terminalPointer + "/emv"
)

// track2 reads track 2 (ISO 7813): card number, separator, expiry, service code
// and what follows. Card number and expiry of the payment come from it.
func (d *paymentReader) track2() iso.Secret {
	s := d.secret(track2Pointer, maxTrack2, func(c byte) bool { return c >= '0' && c <= '9' || c == '=' || c == 'D' })
	if s.IsZero() {
		return s
	}
	var buf [maxTrack2]byte
	track := bytes.ReplaceAll(s.Append(buf[:0]), []byte("D"), []byte("="))
	defer clear(track)
	defer clear(buf[:])
	s.Wipe()
	number, rest, _ := bytes.Cut(track, []byte("="))
	pan, err := iso.ParsePAN(number)
	switch {
	case err != nil:
		d.fault(track2Pointer, "invalid_format", "Must begin with a card number whose check digit fits.")
	case len(rest) < 7 || !allDigits(rest) || !d.yymm(rest):
		d.fault(track2Pointer, "invalid_format", "Must have expiry (YYMM) and service code behind the separator, and digits only.")
	default:
		d.out.PAN = pan
		return iso.NewSecret(track)
	}
	return iso.Secret{}
}

// yymm takes the expiry from four digits.
func (d *paymentReader) yymm(b []byte) bool {
	month := int(b[2]-'0')*10 + int(b[3]-'0')
	d.out.Expiry = iso.Expiry{Year: 2000 + int(b[0]-'0')*10 + int(b[1]-'0'), Month: month}
	return month >= 1 && month <= 12
}

// emv reads chip data in hex digits.
func (d *paymentReader) emv() iso.Secret {
	var buf [2 * maxEMV]byte
	defer clear(buf[:])
	data := d.hexDigits(emvPointer, buf[:0])
	if len(data) == 0 {
		return iso.Secret{}
	}
	if err := iso.CheckChip(data); err != nil {
		d.fault(emvPointer, "invalid_format", "Must be whole BER-TLV elements, no tag twice: "+strings.TrimPrefix(err.Error(), "chip data: ")+".")
		return iso.Secret{}
	}
	return iso.NewSecret(data)
}

// hexDigits reads secret bytes in hex digits into room, which the caller wipes;
// nothing when they are refused. REQUIRES: cap(room) is twice the most bytes there may be.
func (d *paymentReader) hexDigits(pointer string, room []byte) []byte {
	s := d.secret(pointer, cap(room), func(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f' })
	if s.IsZero() {
		return nil
	}
	digits := s.Append(room)
	s.Wipe()
	n, err := hex.Decode(digits, digits)
	if err != nil {
		d.fault(pointer, "invalid_format", "Must be pairs of hexadecimal digits.")
		return nil
	}
	return digits[:n]
}

// expiryPointer is where the request says when the card expires.
func (d *paymentReader) expiryPointer() string {
	switch {
	case d.seen.networkToken.there:
		return networkTokenPointer + "/exp_month"
	case d.seen.terminal.there:
		return track2Pointer
	}
	return monthPointer
}

// otherMethodRules hold network tokens and cards that are present to the rest of
// the request.
func (d *paymentReader) otherMethodRules() {
	s := &d.seen
	for _, m := range [...]struct {
		methodSeen
		pointer, kind string
	}{{s.networkToken, networkTokenPointer, "network_token"}, {s.terminal, terminalPointer, "card_present"}} {
		switch {
		case m.there && !m.chosen:
			d.fault(m.pointer, "invalid_value", `Goes with the type "`+m.kind+`" only.`)
		case m.chosen && s.card:
			d.fault(cardPointer, "invalid_value", `Goes with the type "card" only.`)
		}
		if m.chosen && s.save {
			d.fault("/save_card", "invalid_value", "Only the number of a card is saved.")
		}
	}
	if s.networkToken.chosen && d.more.tokenECI != (span{}) && d.eci != (span{}) {
		d.fault("/three_ds/eci", "invalid_value", "The network token has an ECI already.")
	}
	if s.terminal.chosen && (d.eci != (span{}) || d.cavv != (span{})) {
		d.fault("/three_ds", "invalid_value", "A card that is present is not authenticated by 3-D Secure.")
	}
	if s.terminal.chosen && d.channelSaid {
		d.fault(channelPointer, "invalid_value", "The terminal's entry says it already.")
	}
}
