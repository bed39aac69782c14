package iso

import (
	"encoding/base64"
	"time"
)

// source says which value a field takes.
type source uint8

const (
	srcConst source = iota + 1
	srcEcho
	srcParts
	srcPAN
	srcExpiry
	srcCVC
	srcAmount
	srcCurrency
	srcSTAN
	srcRRN
	srcTransmissionTime
	srcLocalTime
	srcLocalDate
	srcLocalDateTime
	srcLocalDateTimeCentury
	srcSettlementDate
	srcSettlementDateYear
	srcSettlementDateCentury
	srcTerminal
	srcMerchant
	srcMCC
	srcNameLocation
	srcCountry
	srcAcquirer
	srcForwarder
	srcECI
	srcCAVV
	srcCAVVBytes
	srcDSTransactionID
	srcApprovalCode
	srcResponseCode
	srcOriginal
	srcOriginal1993
	srcOriginal2003
	srcOriginalAmounts
	srcOriginalMoney
	srcMoney
	srcReason
	srcNetworkCode
	srcProcessingCode
	srcReplacement
	srcReversalFunction
	srcTotal
	srcEntryMode
	srcCondition

	// From here on: what Carried and Secrets give.
	srcCredential
	srcNetworkTransactionID
	srcThreeDSVersion
	srcCryptogram
	srcTokenRequestor
	srcWallet
	srcInstalmentCount
	srcInstalmentPlan
	srcInstalmentType
	srcPartial
	srcTrack2
	srcEMV
	srcCardSequence
	srcPINBlock
	srcPINControl
	srcCount

	srcRare = srcCredential
)

// sourceRules name the sources as the file does and bound what they give:
// 0, 0 is free text that the field itself bounds.
var sourceRules = [srcCount]struct {
	name     string
	min, max int
}{
	srcPAN:              {"pan", panMin, panMax},
	srcExpiry:           {"expiry", 4, 4},
	srcCVC:              {"cvc", 3, 4},
	srcAmount:           {"amount", 12, 12},
	srcCurrency:         {"currency", 3, 3},
	srcSTAN:             {"stan", 6, 6},
	srcRRN:              {"rrn", 12, 12},
	srcTransmissionTime: {"transmission_time", 10, 10},
	srcLocalTime:        {"local_time", 6, 6},
	srcLocalDate:        {"local_date", 4, 4},
	srcSettlementDate:   {"settlement_date", 4, 4},

	srcLocalDateTime:         {"local_date_time", 12, 12},
	srcLocalDateTimeCentury:  {"local_date_time_century", 14, 14},
	srcSettlementDateYear:    {"settlement_date_year", 6, 6},
	srcSettlementDateCentury: {"settlement_date_century", 8, 8},
	srcOriginal1993:          {"original_1993", 24, 35},
	srcOriginal2003:          {"original_2003", 30, 41},
	srcOriginalAmounts:       {"original_amounts", 24, 24},
	srcOriginalMoney:         {"original_money", 32, 32},
	srcMoney:                 {"money", 16, 16},

	srcTerminal:             {"terminal", 0, 0},
	srcMerchant:             {"merchant", 0, 0},
	srcMCC:                  {"mcc", 4, 4},
	srcNameLocation:         {"name_location", 0, 0},
	srcCountry:              {"country", 3, 3},
	srcAcquirer:             {"acquirer", 0, 0},
	srcForwarder:            {"forwarder", 0, 0},
	srcECI:                  {"eci", 0, 0},
	srcCAVV:                 {"cavv", 0, 0},
	srcCAVVBytes:            {"cavv_bytes", cavvBytes, cavvBytes},
	srcDSTransactionID:      {"ds_transaction_id", 0, 0},
	srcApprovalCode:         {"approval_code", 0, 0},
	srcResponseCode:         {"response_code", 0, 0},
	srcOriginal:             {"original", 42, 42},
	srcReason:               {"reason", 0, 0},
	srcNetworkCode:          {"network_code", 0, 0},
	srcProcessingCode:       {"processing_code", 6, 6},
	srcReplacement:          {"replacement", 42, 42},
	srcReversalFunction:     {"reversal_function", 3, 3},
	srcTotal:                {"total", 12, 12},
	srcEntryMode:            {"entry_mode", 0, 0},
	srcCondition:            {"condition", 0, 0},
	srcCredential:           {"credential", 0, 0},
	srcNetworkTransactionID: {"network_transaction_id", 0, 0},
	srcThreeDSVersion:       {"three_ds_version", 0, 0},
	srcCryptogram:           {"cryptogram", 0, 0},
	srcTokenRequestor:       {"token_requestor", 0, 0},
	srcWallet:               {"wallet", 0, 0},
	srcInstalmentCount:      {"instalment_count", 2, 2},
	srcInstalmentPlan:       {"instalment_plan", 0, 0},
	srcInstalmentType:       {"instalment_type", 0, 0},
	srcPartial:              {"partial", 0, 0},
	srcTrack2:               {"track2", 0, 0},
	srcEMV:                  {"emv", 0, 0},
	srcCardSequence:         {"card_sequence", 3, 3},
	srcPINBlock:             {"pin_block", 0, 0},
	srcPINControl:           {"pin_control", 0, 0},
}

// appendSource appends one value; nothing when it is absent.
func (d *Dialect) appendSource(dst []byte, src source, in inputs) ([]byte, rule) {
	v := in.v
	switch src {
	case srcPAN:
		return v.PAN.Append(dst), ruleNone
	case srcExpiry:
		return v.Expiry.AppendYYMM(dst), ruleNone
	case srcCVC:
		return v.CVC.Append(dst), ruleNone
	case srcAmount:
		return appendAmount(dst, d.told(in))
	case srcTotal:
		return appendAmount(dst, v.Total)
	case srcSTAN:
		if v.STAN > stanMax {
			return dst, ruleRange
		}
		if v.STAN == 0 {
			return dst, ruleNone
		}
		return v.STAN.Append(dst), ruleNone
	case srcTransmissionTime, srcLocalTime, srcLocalDate, srcLocalDateTime, srcLocalDateTimeCentury, srcSettlementDate, srcSettlementDateYear,
		srcSettlementDateCentury:
		return appendTime(dst, src, v), ruleNone
	case srcMoney:
		return appendMoney(dst, v, d.told(in))
	case srcOriginal1993, srcOriginal2003:
		return appendOriginalLocal(dst, src, v)
	case srcOriginalAmounts, srcOriginalMoney:
		return appendOriginalAmounts(dst, src, in)
	case srcReversalFunction:
		if v.Replacement > 0 {
			return append(dst, "401"...), ruleNone
		}
		return append(dst, "400"...), ruleNone
	case srcNameLocation:
		return in.page.append(dst, v.NameLocation), ruleNone
	case srcOriginal:
		return appendOriginal(dst, &v.Original)
	case srcReason:
		if v.Reason >= reasonCount {
			return dst, ruleRange
		}
		return append(dst, d.reasons[v.Reason]...), ruleNone
	case srcNetworkCode:
		return append(dst, in.code...), ruleNone
	case srcProcessingCode:
		return append(dst, d.processingCode(v.Original.Operation)...), ruleNone
	case srcReplacement:
		return appendReplacement(dst, v.Replacement)
	case srcCAVVBytes:
		return appendCAVVBytes(dst, v.CAVV)
	case srcECI:
		return append(dst, d.eciCode(v.ECI)...), ruleNone
	case srcEntryMode, srcCondition:
		channel := ChannelEcommerce
		if v.Carried != nil {
			channel = v.Carried.Channel
		}
		return append(dst, d.code(src, uint8(channel))...), ruleNone
	}
	if src == srcEMV && in.chip != nil && v.Secrets != nil {
		return v.Secrets.appendChip(dst, in.chip)
	}
	if src >= srcRare {
		return d.appendCarried(dst, src, v), ruleNone
	}
	return append(dst, v.text(src)...), ruleNone
}

// told is the amount of field 4: what stays, in a void of a part whose dialect
// names the original amount in another field (ISO 8583:1993 and 2003, field 30).
func (d *Dialect) told(in inputs) int64 {
	if d.partsIn4 && in.op == OpVoid && in.v.Replacement > 0 {
		return in.v.Replacement
	}
	return in.v.Amount
}

func appendAmount(dst []byte, n int64) ([]byte, rule) {
	if n < 0 || n > maxAmount {
		return dst, ruleRange
	}
	return appendDigits(dst, uint64(n), 12), ruleNone
}

// appendOriginalAmounts is field 30 of 1993 and 2003: the original amount, and no
// amount of reconciliation. In a void of the whole there is none.
func appendOriginalAmounts(dst []byte, src source, in inputs) ([]byte, rule) {
	if in.op == OpVoid && in.v.Replacement == 0 {
		return dst, ruleNone
	}
	if src == srcOriginalAmounts {
		dst, broken := appendAmount(dst, in.v.Amount)
		return append(dst, "000000000000"...), broken
	}
	dst, broken := appendMoney(dst, in.v, in.v.Amount)
	return append(dst, "0000000000000000"...), broken
}

// cavvBytes is the length of a cardholder authentication verification value.
const cavvBytes = 20

// appendCAVVBytes is the value without its base64.
func appendCAVVBytes(dst []byte, text string) ([]byte, rule) {
	if text == "" {
		return dst, ruleNone
	}
	var in [base64Room]byte
	if len(text) != len(in) {
		return dst, ruleLength
	}
	copy(in[:], text)
	defer clear(in[:])
	out, err := base64.StdEncoding.AppendDecode(dst, in[:])
	if err != nil || len(out) != len(dst)+cavvBytes {
		return dst, ruleClass
	}
	return out, ruleNone
}

// base64Room is a CAVV in base64.
const base64Room = (cavvBytes + 2) / 3 * 4

// appendTime is a date or a time; nothing when it is absent.
func appendTime(dst []byte, src source, v *Values) []byte {
	switch src {
	case srcTransmissionTime:
		return appendTransmission(dst, v.SentAt)
	case srcSettlementDate, srcSettlementDateYear, srcSettlementDateCentury:
		return appendDate(dst, src, v.SentAt.UTC())
	case srcLocalDate:
		return appendMonthDay(dst, v.LocalAt)
	}
	if v.LocalAt.IsZero() {
		return dst
	}
	if src != srcLocalTime {
		dst = appendDate(dst, src, v.LocalAt)
	}
	return appendClock(dst, v.LocalAt)
}

// text is the value of a source that is a text as it stands.
func (v *Values) text(src source) string {
	switch src {
	case srcCurrency:
		return v.Currency.Numeric()
	case srcRRN:
		return v.RRN
	case srcTerminal:
		return v.Terminal
	case srcMerchant:
		return v.Merchant
	case srcMCC:
		return v.MCC
	case srcCountry:
		return v.Country
	case srcAcquirer:
		return v.Acquirer
	case srcForwarder:
		return v.Forwarder
	case srcCAVV:
		return v.CAVV
	case srcDSTransactionID:
		return v.DSTransactionID
	case srcApprovalCode:
		return v.ApprovalCode
	case srcResponseCode:
		return v.ResponseCode
	}
	return ""
}

// appendTransmission is DE7: MMDDhhmmss in UTC.
func appendTransmission(dst []byte, at time.Time) []byte {
	if at.IsZero() {
		return dst
	}
	at = at.UTC()
	return appendClock(appendMonthDay(dst, at), at)
}

func appendMonthDay(dst []byte, at time.Time) []byte {
	if at.IsZero() {
		return dst
	}
	_, month, day := at.Date()
	return appendPair(appendPair(dst, int(month)), day)
}

func appendClock(dst []byte, at time.Time) []byte {
	hour, minute, second := at.Clock()
	return appendPair(appendPair(appendPair(dst, hour), minute), second)
}

// appendOriginal is DE90: type 4, trace number 6, transmission time 10,
// acquirer 11 and forwarder 11, both right-justified and zero filled.
func appendOriginal(dst []byte, o *Original) ([]byte, rule) {
	if o.MTI == 0 || o.STAN == 0 || o.SentAt.IsZero() {
		return dst, ruleNone
	}
	if o.STAN > stanMax {
		return dst, ruleRange
	}
	dst = appendTransmission(o.STAN.Append(o.MTI.appendDigits(dst)), o.SentAt)
	for _, id := range [2]string{o.Acquirer, o.Forwarder} {
		if len(id) > 11 || !allDigits(id) {
			return dst, ruleRange
		}
		dst = append(dst, "00000000000"[len(id):]...)
		dst = append(dst, id...)
	}
	return dst, ruleNone
}

// appendOriginalLocal is the original data elements of 1993 (DE56: type 4, trace number
// 6, local date and time 12, acquirer behind two digits of length) and of 2003 (trace
// number 12, date and time 14, acquirer to the end). The original's local time is that
// of its transmission on the clock of LocalAt.
func appendOriginalLocal(dst []byte, src source, v *Values) ([]byte, rule) {
	o := &v.Original
	if o.MTI == 0 || o.STAN == 0 || o.SentAt.IsZero() {
		return dst, ruleNone
	}
	if o.STAN > stanMax || len(o.Acquirer) > 11 || !allDigits(o.Acquirer) {
		return dst, ruleRange
	}
	local := o.SentAt
	if !v.LocalAt.IsZero() {
		local = local.In(v.LocalAt.Location())
	}
	dst = o.MTI.appendDigits(dst)
	if src == srcOriginal2003 {
		dst = appendClock(appendDate(appendDigits(dst, uint64(o.STAN), 12), srcLocalDateTimeCentury, local), local)
		return append(dst, o.Acquirer...), ruleNone
	}
	dst = appendClock(appendDate(o.STAN.Append(dst), srcLocalDateTime, local), local)
	return append(appendPair(dst, len(o.Acquirer)), o.Acquirer...), ruleNone
}

// appendDate is a date as the source says: with a year of two digits, of four, or none.
func appendDate(dst []byte, src source, at time.Time) []byte {
	if at.IsZero() {
		return dst
	}
	switch src {
	case srcLocalDateTimeCentury, srcSettlementDateCentury:
		dst = appendDigits(dst, uint64(at.Year()), 4)
	case srcLocalDateTime, srcSettlementDateYear:
		dst = appendPair(dst, at.Year()%100)
	}
	return appendMonthDay(dst, at)
}

// processingCode is DE3 of the message that is referred to.
func (d *Dialect) processingCode(original Operation) string {
	if original == 0 {
		if original = OpPurchase; !d.Supports(OpPurchase) {
			original = OpAuthorization
		}
	}
	return d.processing[original%opCount]
}

// appendReplacement is DE95: the amount that stays, 12 digits, and no
// settlement amount and no fees.
func appendReplacement(dst []byte, stays int64) ([]byte, rule) {
	if stays < 0 || stays > maxAmount {
		return dst, ruleRange
	}
	if stays == 0 {
		return dst, ruleNone
	}
	return append(appendDigits(dst, uint64(stays), 12), "000000000000C00000000C00000000"...), ruleNone
}
