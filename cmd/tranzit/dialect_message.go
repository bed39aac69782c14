package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/tranzit/tranzit/iso"
)

// messageText is a message as JSON or YAML: fields as they are, or an operation
// with its values.
type messageText struct {
	MTI       string            `json:"mti" yaml:"mti"`
	Fields    map[string]string `json:"fields" yaml:"fields"`
	Operation string            `json:"operation" yaml:"operation"`
	Values    messageValues     `json:"values" yaml:"values"`
}

// messageValues are the values of an operation; iso.Values in words.
type messageValues struct {
	PAN            string    `json:"pan" yaml:"pan"`
	Expiry         string    `json:"expiry" yaml:"expiry"` // YYMM
	CVC            string    `json:"cvc" yaml:"cvc"`
	Amount         int64     `json:"amount" yaml:"amount"`
	Currency       string    `json:"currency" yaml:"currency"`
	STAN           uint32    `json:"stan" yaml:"stan"`
	RRN            string    `json:"rrn" yaml:"rrn"`
	SentAt         time.Time `json:"sent_at" yaml:"sent_at"`
	LocalAt        time.Time `json:"local_at" yaml:"local_at"` // empty: sent_at
	Terminal       string    `json:"terminal" yaml:"terminal"`
	Merchant       string    `json:"merchant" yaml:"merchant"`
	MCC            string    `json:"mcc" yaml:"mcc"`
	NameLocation   string    `json:"name_location" yaml:"name_location"`
	Country        string    `json:"country" yaml:"country"`
	Acquirer       string    `json:"acquirer" yaml:"acquirer"`
	Forwarder      string    `json:"forwarder" yaml:"forwarder"`
	ECI            string    `json:"eci" yaml:"eci"`
	CAVV           string    `json:"cavv" yaml:"cavv"`
	ApprovalCode   string    `json:"approval_code" yaml:"approval_code"`
	ResponseCode   string    `json:"response_code" yaml:"response_code"`
	Channel        string    `json:"channel" yaml:"channel"`
	Reason         string    `json:"reason" yaml:"reason"` // of a reversal: timeout, customer...
	OriginalMTI    string    `json:"original_mti" yaml:"original_mti"`
	OriginalSTAN   uint32    `json:"original_stan" yaml:"original_stan"`
	OriginalSentAt time.Time `json:"original_sent_at" yaml:"original_sent_at"`
}

func messageFromJSON(d *iso.Dialect, text []byte) (*iso.Message, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var t messageText
	if err := dec.Decode(&t); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("message: more than one JSON object")
	}
	return t.message(d)
}

func (t *messageText) message(d *iso.Dialect) (*iso.Message, error) {
	switch {
	case (t.MTI == "") == (t.Operation == ""):
		return nil, errors.New(`message: give either "mti" and "fields", or "operation" and "values"`)
	case t.MTI != "" && t.Values != messageValues{}:
		return nil, errors.New(`message: "values" belong to an operation, "fields" to an "mti"`)
	case t.Operation != "" && t.Fields != nil:
		return nil, errors.New(`message: "fields" belong to an "mti", "values" to an operation`)
	}
	var m iso.Message
	if t.MTI != "" {
		return &m, t.fieldsInto(d, &m)
	}
	op, err := parseOperation(t.Operation)
	if err != nil {
		return nil, err
	}
	v, err := t.Values.values()
	if err != nil {
		return nil, err
	}
	return &m, d.Build(op, &v, &m)
}

func (t *messageText) fieldsInto(d *iso.Dialect, m *iso.Message) error {
	mti, err := iso.ParseMTI(t.MTI)
	if err != nil {
		return fmt.Errorf("message: mti %q is not four digits", t.MTI)
	}
	m.MTI = mti
	for key, text := range t.Fields {
		n, err := strconv.Atoi(key)
		if err != nil || !iso.ValidField(n) {
			return fmt.Errorf("message: %q is not a field", key)
		}
		if !d.Binary(n) {
			m.SetString(n, text)
			continue
		}
		raw, err := hex.DecodeString(text)
		if err != nil {
			return fmt.Errorf("message: field %d is binary; write it in hex digits", n)
		}
		m.Set(n, raw)
	}
	return nil
}

// parseOperation finds an operation by the name the dialect files use.
func parseOperation(name string) (iso.Operation, error) {
	for op := iso.OpPurchase; op.String() != "unknown"; op++ {
		if op.String() == name {
			return op, nil
		}
	}
	return 0, fmt.Errorf("message: %q is no operation", name)
}

// values checks the words and gives what the dialect builds from. Errors name the
// value at fault, without it.
func (t *messageValues) values() (v iso.Values, err error) {
	v = iso.Values{
		Amount: t.Amount, STAN: iso.STAN(t.STAN), RRN: t.RRN, SentAt: t.SentAt, LocalAt: t.LocalAt, Terminal: t.Terminal, Merchant: t.Merchant,
		MCC: t.MCC, NameLocation: t.NameLocation, Country: t.Country, Acquirer: t.Acquirer, Forwarder: t.Forwarder, ECI: t.ECI, CAVV: t.CAVV,
		ApprovalCode: t.ApprovalCode, ResponseCode: t.ResponseCode,
	}
	if v.LocalAt.IsZero() {
		v.LocalAt = v.SentAt
	}
	if t.PAN != "" {
		if v.PAN, err = iso.ParsePAN([]byte(t.PAN)); err != nil {
			return v, fmt.Errorf("values.pan: %w", err)
		}
	}
	if t.CVC != "" {
		if v.CVC, err = iso.ParseCVC([]byte(t.CVC)); err != nil {
			return v, fmt.Errorf("values.cvc: %w", err)
		}
	}
	if t.Currency != "" {
		if v.Currency, err = iso.ParseCurrency(t.Currency); err != nil {
			return v, fmt.Errorf("values.currency: %w", err)
		}
	}
	if t.Expiry != "" {
		month, err := time.Parse("0601", t.Expiry)
		if err != nil {
			return v, errors.New("values.expiry: write year and month like 3012")
		}
		v.Expiry = iso.Expiry{Year: month.Year(), Month: int(month.Month())}
	}
	if t.Channel != "" {
		channel, ok := iso.ParseChannel(t.Channel)
		if !ok {
			return v, fmt.Errorf("values.channel: %q is no channel", t.Channel)
		}
		v.Carried = &iso.Carried{Channel: channel}
	}
	if t.Reason != "" {
		for r := iso.ReasonTimeout; v.Reason == 0; r++ {
			if r.String() == "unknown" {
				return v, fmt.Errorf("values.reason: %q is no reason", t.Reason)
			}
			if r.String() == t.Reason {
				v.Reason = r
			}
		}
	}
	if t.OriginalMTI != "" {
		if v.Original.MTI, err = iso.ParseMTI(t.OriginalMTI); err != nil {
			return v, fmt.Errorf("values.original_mti: %w", err)
		}
		v.Original.STAN, v.Original.SentAt, v.Original.Acquirer, v.Original.Forwarder = iso.STAN(t.OriginalSTAN), t.OriginalSentAt, t.Acquirer, t.Forwarder
	}
	return v, nil
}
