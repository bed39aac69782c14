package iso

import "errors"

// MTI is a message type indicator: four decimal digits packed one per nibble,
// so that 0x0200 reads as "0200". The digits are version, class, function and
// origin (ISO 8583-1). The zero value is no MTI.
type MTI uint16

// The message types of the 1987 edition that the switch speaks.
const (
	MTIAuthorization       MTI = 0x0100
	MTIAuthorizationAnswer MTI = 0x0110
	MTIFinancial           MTI = 0x0200
	MTIFinancialAnswer     MTI = 0x0210
	MTIFinancialAdvice     MTI = 0x0220
	MTIReversal            MTI = 0x0400
	MTIReversalAnswer      MTI = 0x0410
	MTIReversalAdvice      MTI = 0x0420
	MTIReversalRepeat      MTI = 0x0421
	MTIReversalAdviceReply MTI = 0x0430
	MTINetwork             MTI = 0x0800
	MTINetworkAnswer       MTI = 0x0810
)

// ErrMTI is returned for a text that is not four decimal digits.
var ErrMTI = errors.New("iso: a message type is four digits, like 0200")

// ParseMTI reads four decimal digits.
func ParseMTI(s string) (MTI, error) {
	if len(s) != 4 {
		return 0, ErrMTI
	}
	var m MTI
	for i := range 4 {
		if !isDigit(s[i]) {
			return 0, ErrMTI
		}
		m = m<<4 | MTI(s[i]-'0')
	}
	return m, nil
}

// String returns the four digits.
func (m MTI) String() string {
	return string(m.appendDigits(make([]byte, 0, 4)))
}

func (m MTI) appendDigits(dst []byte) []byte {
	return append(dst, '0'+m.Version(), '0'+m.Class(), '0'+m.Function(), '0'+m.Origin())
}

// Version is the first digit: 0 for the 1987 edition, 1 for 1993, 2 for 2003.
func (m MTI) Version() byte { return byte(m >> 12 & 15) }

// Class is the second digit: 1 authorization, 2 financial, 4 reversal, 8 network management.
func (m MTI) Class() byte { return byte(m >> 8 & 15) }

// Function is the third digit: 0 request, 1 request response, 2 advice, 3 advice response.
func (m MTI) Function() byte { return byte(m >> 4 & 15) }

// Origin is the fourth digit: 0 acquirer, 1 acquirer repeat, 2 issuer, 3 issuer repeat.
func (m MTI) Origin() byte { return byte(m & 15) }

// Normal clears the repeat flag: 0431 becomes 0430.
func (m MTI) Normal() MTI { return m &^ 1 }

// anyVersion is the type in the 1987 edition.
func (m MTI) anyVersion() MTI { return m & 0x0FFF }

// Repeat sets the repeat flag: 0420 becomes 0421.
func (m MTI) Repeat() MTI { return m | 1 }

// Response is the type of the answer to m: 0200 and 0201 become 0210, 0421
// becomes 0430. REQUIRES: m.ExpectsAnswer().
func (m MTI) Response() MTI { return (m | 0x10).Normal() }

// ExpectsAnswer reports whether m is a request or an advice (function 0 or 2).
func (m MTI) ExpectsAnswer() bool { return m.Function() == 0 || m.Function() == 2 }

// IsAnswer reports whether m answers a request or an advice (function 1 or 3).
func (m MTI) IsAnswer() bool { return m.Function() == 1 || m.Function() == 3 }

// Title says in the standard's words what kind of message m is.
func (m MTI) Title() string {
	class := [10]string{"", "authorization", "financial", "file action", "reversal",
		"reconciliation", "administrative", "fee collection", "network management", ""}
	function := [10]string{"request", "request response", "advice", "advice response",
		"notification", "notification acknowledgement", "instruction", "instruction acknowledgement", "", ""}
	c, f := class[m.Class()%10], function[m.Function()%10]
	if c == "" || f == "" {
		return "private message"
	}
	if m.Origin()&1 == 1 {
		return c + " " + f + " repeat"
	}
	return c + " " + f
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func allDigits[T string | []byte](s T) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}
