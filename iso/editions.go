package iso

// Where the editions of 1993 and 2003 write a fact otherwise than that of 1987.

// moneyHead is what stands before the amount in field 4 of the 2003 edition: the
// currency's number and its exponent.
const moneyHead = 4

func appendMoney(dst []byte, v *Values, amount int64) ([]byte, rule) {
	if amount < 0 || amount > maxAmount {
		return dst, ruleRange
	}
	if v.Currency.IsZero() {
		return dst, ruleNone
	}
	dst = append(append(dst, v.Currency.Numeric()...), byte('0'+v.Currency.Exponent()))
	return appendDigits(dst, uint64(amount), 12), ruleNone
}

// appendAnswered is the money of an answer: that of the request, of another amount
// unless it is 0.
func appendAnswered(dst, asked []byte, amount int64) ([]byte, rule) {
	switch {
	case amount == 0 || len(asked) < moneyHead:
		return append(dst, asked...), ruleNone
	case amount < 0 || amount > maxAmount:
		return dst, ruleRange
	}
	return appendDigits(append(dst, asked[:moneyHead]...), uint64(amount), 12), ruleNone
}

// Facts are what a bank finds in every request, wherever the dialect puts it.
type Facts struct {
	STAN     uint32
	Amount   int64
	Currency []byte // three digits; nil: none
	// SentAt is MMDDhhmmss of the clock by which the bank knows an original: that of
	// field 7, or the local one where an original is named by it.
	SentAt   []byte
	Original struct {
		MTI    MTI // 0: none is named
		STAN   uint32
		SentAt []byte
	}
	Replacement int64 // what stays; -1: nothing is said
}

// Facts reads a request as the bank does: for simulators. The slices alias m. False: there is
// no trace number or amount, or what is there is malformed.
func (d *Dialect) Facts(m *Message, f *Facts) bool {
	*f = Facts{Replacement: -1}
	stan, ok := digitsOf(m.Get(11))
	if !ok || stan > stanMax {
		return false
	}
	f.STAN = uint32(stan)
	if f.Amount, ok = d.Amount(m); !ok {
		return false
	}
	if d.at[srcMoney] != 0 {
		f.Currency = m.Get(4)[:3]
	} else if at := int(d.at[srcCurrency]); at != 0 {
		f.Currency = m.Get(at)
	}
	f.SentAt = m.Get(7)
	switch {
	case d.at[srcOriginal1993] != 0:
		f.SentAt = tail(m.Get(int(d.at[srcLocalDateTime])), 10)
	case d.at[srcOriginal2003] != 0:
		f.SentAt = tail(m.Get(int(d.at[srcLocalDateTimeCentury])), 10)
	}
	if text := m.Get(int(d.at[srcReplacement])); len(text) >= 12 {
		if f.Replacement, ok = digitsOf(text[:12]); !ok {
			return false
		}
	}
	if !d.keeps(m, f) {
		return false
	}
	return d.original(m, f)
}

// keeps reads a void whose field 4 is what stays: the amount is the original's.
func (d *Dialect) keeps(m *Message, f *Facts) bool {
	at, head := int(d.at[srcOriginalAmounts]), 0
	if at == 0 {
		at, head = int(d.at[srcOriginalMoney]), moneyHead
	}
	text := m.Get(at)
	if !d.partsIn4 || len(text) < head+12 {
		return true
	}
	n, ok := digitsOf(text[head : head+12])
	if n != f.Amount {
		f.Amount, f.Replacement = n, f.Amount
	}
	return ok
}

// original reads the original data elements, of which there may be none.
func (d *Dialect) original(m *Message, f *Facts) bool {
	text, stan, clock := m.Get(int(d.at[srcOriginal])), 6, 10
	if at := int(d.at[srcOriginal1993]); at != 0 {
		text, clock = m.Get(at), 12
	} else if at = int(d.at[srcOriginal2003]); at != 0 {
		text, stan, clock = m.Get(at), 12, 14
	}
	if len(text) < 4+stan+clock {
		return true
	}
	mti, err := ParseMTI(string(text[:4]))
	n, ok := digitsOf(text[4 : 4+stan])
	if err != nil || !ok || n > stanMax {
		return false
	}
	f.Original.MTI, f.Original.STAN, f.Original.SentAt = mti, uint32(n), tail(text[4+stan:4+stan+clock], 10)
	return true
}

// Amount is the amount in a message's field 4, in minor units of whatever its
// currency is. False: there is none.
func (d *Dialect) Amount(m *Message) (int64, bool) {
	text := m.Get(4)
	if d.at[srcMoney] != 0 {
		if len(text) != moneyHead+12 {
			return 0, false
		}
		text = text[moneyHead:]
	}
	if len(text) != 12 {
		return 0, false
	}
	return digitsOf(text)
}

// tail is the last n bytes.
func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// digitsOf reads 1 to 18 digits.
func digitsOf(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0 && len(b) <= 18
}
