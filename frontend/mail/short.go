package mail

import (
	"fmt"
	"maps"
	"strings"
	"text/template"
	"unicode/utf16"
)

// maxSegments is how many messages of a telephone one of ours may take: who pays for
// it pays for each.
const maxSegments = 2

// gsm7 is the alphabet that telephones pack into seven bits, and gsm7Twice what takes
// two places in it (3GPP TS 23.038, 6.2.1 and 6.2.1.1).
const (
	gsm7 = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsm7Twice = "\f^{}\\[~]|€"
)

// Segments is how many messages of a telephone a text takes: of 160 characters of the
// seven-bit alphabet or 70 units of UCS-2 when it is one, of 153 or 67 when it is
// more (3GPP TS 23.040, 9.2.3.24.1).
func Segments(text string) int {
	places, single, joined := 0, 160, 153
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsm7, r):
			places++
		case strings.ContainsRune(gsm7Twice, r):
			places += 2
		default:
			places, single, joined = len(utf16.Encode([]rune(text))), 70, 67
		}
		if joined == 67 {
			break
		}
	}
	if places <= single {
		return 1
	}
	return (places + joined - 1) / joined
}

// short writes a message that takes at most maxSegments: where it is too long, it goes
// without the order, and then with less and less of the shop's name.
func short(t *template.Template, data map[string]any) (string, error) {
	data = maps.Clone(data)
	shop, _ := data["shop"].(string)
	for name := []rune(shop); ; {
		data["shop"] = strings.TrimSpace(string(name))
		var text strings.Builder
		if err := t.Execute(&text, data); err != nil {
			return "", fmt.Errorf("letter: %w", err)
		}
		switch out := strings.TrimSpace(text.String()); {
		case Segments(out) <= maxSegments:
			return out, nil
		case data["order"] != nil:
			data["order"] = nil
		case len(name) > 0:
			name = name[:len(name)/2]
		default:
			return "", fmt.Errorf("letter %s: it does not fit into %d messages", t.Name(), maxSegments)
		}
	}
}
