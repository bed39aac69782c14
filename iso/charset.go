package iso

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// page is a set of characters of one byte each. A Message holds a text of a code
// page by its bytes, and a text that is EBCDIC on the wire by ISO 8859-1, whose
// 256 characters are those of the EBCDIC pages. A nil page is ASCII.
type page struct {
	letters *charmap.Charmap // what a Message holds
	wire    *[256]byte       // EBCDIC of every ISO 8859-1 character; nil: the wire is as the Message
	held    *[256]byte       // the way back
}

var (
	pageLatin1     = &page{letters: charmap.ISO8859_1}
	page866        = &page{letters: charmap.CodePage866}
	page1251       = &page{letters: charmap.Windows1251}
	pageEBCDIC037  = ebcdicPage(charmap.CodePage037, nil)
	pageEBCDIC500  = ebcdicPage(charmap.CodePage037, map[byte]byte{0x4A: '[', 0x4F: '!', 0x5A: ']', 0x5F: '^', 0xB0: 0xA2, 0xBA: 0xAC, 0xBB: '|'})
	pageEBCDIC1047 = ebcdicPage(charmap.CodePage1047, nil)
)

// ebcdicPage is an EBCDIC page and where it differs.
func ebcdicPage(from *charmap.Charmap, other map[byte]byte) *page {
	p := &page{letters: charmap.ISO8859_1, wire: new([256]byte), held: new([256]byte)}
	for i := range 256 {
		c, differs := other[byte(i)]
		if !differs {
			c = byte(from.DecodeByte(byte(i)))
		}
		p.held[i], p.wire[c] = c, byte(i)
	}
	return p
}

// ebcdic reports whether the page's bytes are translated on their way.
func (p *page) ebcdic() bool { return p != nil && p.wire != nil }

// encode returns the page's byte of a character.
func (p *page) encode(r rune) (byte, bool) {
	if r < utf8.RuneSelf || p == nil || p.ebcdic() {
		return byte(r), r >= ' ' && r <= '~'
	}
	b, ok := p.letters.EncodeRune(r)
	return b, ok && !unicode.IsControl(r)
}

// append appends a text for people in the page's bytes. A character that the page
// does not have is written in Latin letters, or as '?' when it is none.
func (p *page) append(dst []byte, s string) []byte {
	for i, r := range s {
		if b, ok := p.encode(r); ok {
			dst = append(dst, b)
			continue
		}
		latin, known := latinOf[unicode.ToLower(r)]
		if !known {
			dst = append(dst, '?')
			continue
		}
		following, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(r):])
		for j := range len(latin) {
			c := latin[j]
			if unicode.IsUpper(r) && c >= 'a' && c <= 'z' && (j == 0 || !unicode.IsLower(following)) {
				c -= 'a' - 'A'
			}
			dst = append(dst, c)
		}
	}
	return dst
}

// exact is the text in the page's bytes. False: the page lacks a character.
func (p *page) exact(s string) ([]byte, bool) {
	var out []byte
	for _, r := range s {
		b, ok := p.encode(r)
		if !ok {
			return nil, false
		}
		out = append(out, b)
	}
	return out, true
}

// text is what a Message holds, for people: what does not print is a dot.
func (p *page) text(value []byte) string {
	var out []rune
	for _, c := range value {
		r := rune(c)
		if c >= utf8.RuneSelf && p != nil {
			r = p.letters.DecodeByte(c)
		}
		if !unicode.IsPrint(r) || c >= utf8.RuneSelf && p == nil || r == utf8.RuneError {
			r = '.'
		}
		out = append(out, r)
	}
	return string(out)
}

// latinOf writes small letters in ASCII: Cyrillic as ICAO Doc 9303 does in travel
// documents, the Latin alphabets of Europe without their marks.
var latinOf = buildLatin()

func buildLatin() map[rune]string {
	table := map[rune]string{
		'а': "a", 'б': "b", 'в': "v", 'г': "g", 'д': "d", 'е': "e", 'ё': "e", 'ж': "zh", 'з': "z", 'и': "i", 'й': "i", 'к': "k",
		'л': "l", 'м': "m", 'н': "n", 'о': "o", 'п': "p", 'р': "r", 'с': "s", 'т': "t", 'у': "u", 'ф': "f", 'х': "kh", 'ц': "ts",
		'ч': "ch", 'ш': "sh", 'щ': "shch", 'ъ': "ie", 'ы': "y", 'ь': "", 'э': "e", 'ю': "iu", 'я': "ia",
		'є': "ie", 'і': "i", 'ї': "i", 'ґ': "g", 'ў': "u", 'ђ': "d", 'ѓ': "g", 'ѕ': "dz", 'ј': "j", 'љ': "lj", 'њ': "nj", 'ћ': "c",
		'ќ': "k", 'џ': "dz", 'ß': "ss", 'æ': "ae", 'œ': "oe", 'þ': "th",
		'«': `"`, '»': `"`, '“': `"`, '”': `"`, '„': `"`, '‘': "'", '’': "'", '‚': ",", '–': "-", '—': "-", '…': "...", '№': "No", '\u00a0': " ",
	}
	for plain, marked := range map[string]string{
		"a": "àáâãäåāăą", "c": "çćĉċč", "d": "ďđð", "e": "èéêëēĕėęě", "g": "ĝğġģ", "h": "ĥħ", "i": "ìíîïĩīĭįı", "j": "ĵ", "k": "ķ",
		"l": "ĺļľł", "n": "ñńņň", "o": "òóôõöøōŏő", "r": "ŕŗř", "s": "śŝşšș", "t": "ţťŧț", "u": "ùúûüũūŭůűų", "w": "ŵ", "y": "ýÿŷ", "z": "źżž",
	} {
		for _, r := range marked {
			table[r] = plain
		}
	}
	return table
}

// contents are the ways a field's content lies on the wire, as the file names them.
var contents = []string{"ascii", "latin1", "cp866", "cp1251", "ebcdic037", "ebcdic500", "ebcdic1047", "bcd", "nibble", "binary", "hex", "hex-lower"}

var contentPages = map[string]*page{"latin1": pageLatin1, "cp866": page866, "cp1251": page1251,
	"ebcdic037": pageEBCDIC037, "ebcdic500": pageEBCDIC500, "ebcdic1047": pageEBCDIC1047}

// formOf is how a class lies on the wire in a content, 0 when it cannot.
func formOf(c class, content string) form {
	p := contentPages[content]
	switch {
	case content == "ascii":
		return [...]form{classN: formDigits, classAN: formText, classANS: formText, classB: 0, classZ: formText, classSign: formSign}[c]
	case p.ebcdic():
		return [...]form{classN: formDigitsEBCDIC, classAN: formEBCDIC, classANS: formEBCDIC, classB: 0, classZ: formEBCDIC, classSign: formSignEBCDIC}[c]
	case p != nil && c == classANS:
		return formText
	case content == "bcd" && c == classN:
		return formBCD
	case content == "bcd" && c == classSign:
		return formSignBCD
	case content == "nibble" && c == classZ:
		return formNibble
	case c == classB:
		return map[string]form{"binary": formBinary, "hex": formHex, "hex-lower": formHexLower}[content]
	}
	return 0
}

// fits says which contents a class takes, for people.
func fits(c class) []string {
	return slices.DeleteFunc(slices.Clone(contents), func(word string) bool { return formOf(c, word) == 0 })
}
