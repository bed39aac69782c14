package iso

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
)

// mask is how much of a field people may see.
type mask uint8

const (
	maskNone   mask = iota // all of it
	maskCard               // a card number: first six and last four digits
	maskTrack              // the card number in it so, the rest not at all
	maskSecret             // nothing
	maskPIN                // nothing
)

var maskNames = []string{"none", "pan", "track", "secret", "pin"}

// FieldView is one field for people, already masked. Number 0 is the message type.
type FieldView struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	Value  string `json:"value"` // masked
}

// Mask hides card data in place by the dialect's mask classes. The message is
// then for people and journals: a masked field no longer has its length.
func (d *Dialect) Mask(m *Message) {
	for field, value := range m.Fields {
		switch d.maskOf(field) {
		case maskCard:
			maskPAN(value)
		case maskTrack:
			maskTrackData(value)
		case maskSecret, maskPIN:
			clear(value)
			m.SetString(field, hidden)
		}
	}
}

// maskOf hides a field the dialect cannot know.
func (d *Dialect) maskOf(field int) mask {
	if d.codec.fields[field].form == 0 {
		return maskSecret
	}
	return d.codec.fields[field].mask
}

// maskTrackData keeps the masked card number of track 1 or 2 and its separators.
func maskTrackData(b []byte) {
	start := bytes.IndexFunc(b, func(r rune) bool { return r >= '0' && r <= '9' })
	if start < 0 {
		start = len(b)
	}
	end := start
	for end < len(b) && isDigit(b[end]) {
		end++
	}
	if n := end - start; n < panMin || n > panMax || start > 2 {
		start, end = 0, 0
	}
	maskPAN(b[start:end])
	for i := end; i < len(b); i++ {
		if b[i] != '=' && b[i] != '^' {
			b[i] = '*'
		}
	}
}

// Describe lists type and fields for people, masked, with the standard's names.
// Bytes that do not print are shown as dots, binary fields in hex. It allocates.
func (d *Dialect) Describe(m *Message) []FieldView {
	var masked Message
	masked.CopyFrom(m)
	d.Mask(&masked)
	views := []FieldView{{Number: 0, Name: "Message type indicator", Value: m.MTI.String() + " " + m.MTI.Title()}}
	for field, value := range masked.Fields {
		v := FieldView{Number: field, Name: d.FieldName(field)}
		if d.isBinary(field) && d.maskOf(field) == maskNone {
			v.Value = strings.ToUpper(hex.EncodeToString(value))
		} else {
			v.Value = d.pageOf(field).text(value)
		}
		views = append(views, v)
		if lay := d.codec.parts[field]; lay != nil {
			v.Name = strconv.Itoa(field)
			views = lay.describe(views, v, m.Get(field), d.maskOf(field))
		}
	}
	masked.Wipe()
	return views
}

// FieldName is the field's name: the file's, else the standard's.
func (d *Dialect) FieldName(field int) string {
	if !ValidField(field) || d.names[field] == "" {
		return "Unknown"
	}
	return d.names[field]
}

func (d *Dialect) isBinary(field int) bool {
	f := d.codec.fields[field].form
	return f == 0 || f == formBinary || f == formHex || f == formHexLower
}

// pageOf is the page of a field's text; nil is ASCII.
func (d *Dialect) pageOf(field int) *page {
	return d.codec.fields[field].page
}
