package security

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func same(t *testing.T, what string, got []byte, err error, want string) {
	t.Helper()
	if err != nil || !strings.EqualFold(hex.EncodeToString(got), want) {
		t.Errorf("%s: %x, %v; want %s", what, got, err, want)
	}
}

const nistMessage = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"

// TestMACVectors: ANSI X9.19, RFC 4493, NIST SP 800-38B, RFC 4231.
// TestPINsMadeAndVerified: what a terminal makes an issuer verifies, and nothing else.
func TestPINsMadeAndVerified(t *testing.T) {
	keys := map[Cipher][]byte{TDES: []byte("0123456789abcdef"), AES: []byte("0123456789abcdefghijklmn")}
	for _, f := range []PINFormat{PINFormat0, PINFormat1, PINFormat3, PINFormat4} {
		b := PINBlock{Format: f, Key: keys[f.Cipher()]}
		for _, pin := range []string{"1234", "123456789012"} {
			block, err := EncryptPIN(b, pin, "4012345678909")
			if err != nil || len(block) != f.Bytes() {
				t.Fatalf("format %d: %x, %v", f, block, err)
			}
			b.Block = block
			for _, v := range []struct {
				pin, pan string
				good     bool
			}{{pin, "4012345678909", true}, {pin[:len(pin)-1] + "9", "4012345678909", false}, {"0000", "4012345678909", false}, {pin, "4112345678909", f == PINFormat1}} {
				if got, err := VerifyPIN(b, v.pin, v.pan); got != v.good || got && err != nil {
					t.Errorf("format %d, PIN %s, card %s: %v, %v", f, v.pin, v.pan, got, err)
				}
			}
		}
		for _, pin := range []string{"", "123", "12a4", "1234567890123"} {
			if block, err := EncryptPIN(b, pin, "4012345678909"); err == nil {
				t.Errorf("format %d: the PIN %q became %x", f, pin, block)
			}
		}
	}
}

func TestMACVectors(t *testing.T) {
	text := func(s string) string { return hex.EncodeToString([]byte(s)) }
	for _, tt := range []struct {
		a               Algorithm
		p               Padding
		key, data, want string
	}{
		{X919, PadZeros, text("AAAAAAAABBBBBBBB"), text("hello world"), "3DDE5C5511661CBF"},
		{X919, PadBit, text("AAAAAAAABBBBBBBB"), text("hello world"), "E16941032C3BC7D4"},
		{X919, PadZeros, "0123456789ABCDEFFEDCBA9876543210", text("Now is the time for all "), "A1C72E74EA3FA9B6"},
		{X99, PadZeros, "0123456789ABCDEF", text("7654321 Now is the time for "), "F1D30F6849312CA4"}, // FIPS 113, appendix 2
		{CMACAES, 0, "2b7e151628aed2a6abf7158809cf4f3c", "", "BB1D6929E95937287FA37D129B756746"},
		{CMACAES, 0, "2b7e151628aed2a6abf7158809cf4f3c", nistMessage[:32], "070A16B46B4D4144F79BDD9DD04A287C"},
		{CMACAES, 0, "2b7e151628aed2a6abf7158809cf4f3c", nistMessage[:80], "DFA66747DE9AE63030CA32611497C827"},
		{CMACAES, 0, "2b7e151628aed2a6abf7158809cf4f3c", nistMessage, "51F0BEBF7E3B9D92FC49741779363CFE"},
		{CMACTDES, 0, "8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5", "", "B7A688E122FFAF95"},
		{CMACTDES, 0, "8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5", nistMessage[:16], "8E8F293136283797"},
		{CMACTDES, 0, "8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5", nistMessage[:40], "743DDBE0CE2DC2ED"},
		{CMACTDES, 0, "8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5", nistMessage[:64], "33E6B1092400EAE5"},
		{HMACSHA256, 0, strings.Repeat("0b", 20), text("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	} {
		key, data := unhex(t, tt.key), unhex(t, tt.data)
		got, err := MAC{tt.a, tt.p}.Sum(key, data)
		same(t, tt.a.String(), got, err, tt.want)
		for n := range len(got) + 1 {
			if ok, err := (MAC{tt.a, tt.p}).Verify(key, data, got[:n]); err != nil || ok != (n >= 4) {
				t.Errorf("%s of %d bytes: %v, %v", tt.a, n, ok, err)
			}
		}
		if len(got) > 0 {
			got[0] ^= 1
			if ok, _ := (MAC{tt.a, tt.p}).Verify(key, data, got); ok {
				t.Errorf("%s: a wrong code passes", tt.a)
			}
		}
		if word, ok := ParseAlgorithm(tt.a.String()); !ok || word != tt.a {
			t.Errorf("%s is not read back", tt.a)
		}
		if _, err := (MAC{Algorithm: tt.a}).Sum(key[:5], data); !errors.Is(err, ErrKey) {
			t.Errorf("%s under 5 bytes: %v", tt.a, err)
		}
	}
}

// TestCheckValues: ANSI X9.24-1 and the usual example key.
func TestCheckValues(t *testing.T) {
	got, err := CheckValue(TDES, unhex(t, "0123456789ABCDEFFEDCBA9876543210"), 3)
	same(t, "tdes", got, err, "08D7B4")
	sum, _ := MAC{Algorithm: CMACAES}.Sum(unhex(t, "2b7e151628aed2a6abf7158809cf4f3c"), make([]byte, 16))
	got, err = CheckValue(AES, unhex(t, "2b7e151628aed2a6abf7158809cf4f3c"), 5)
	same(t, "aes", got, err, hex.EncodeToString(sum[:5]))
}

// TestPINVectors: clear blocks of format 0 under a key that changes nothing
// visible, and whole blocks of format 4.
func TestPINVectors(t *testing.T) {
	key := unhex(t, "0123456789ABCDEFFEDCBA9876543210")
	b, err := TDES.block(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ pin, pan, want string }{
		{"1234", "5555555551234567", "041261AAAAEDCBA9"},
		{"1234", "5544332211009966", "041277CDDEEFF669"},
		{"123456789012", "5555555551234567", "0C1261032D8226A9"},
		{"1234", "4012345678909", "041274EDCBA9876F"},
	} {
		digits := make([]byte, len(tt.pin))
		for i := range digits {
			digits[i] = tt.pin[i] - '0'
		}
		got, err := PINBlock{Format: PINFormat0, Key: key}.encrypt(digits, tt.pan)
		if err == nil {
			b.Decrypt(got, got)
		}
		same(t, tt.pin, got, err, tt.want)
	}
	for _, tt := range []struct{ key, pan, block string }{
		{"AF8CB133A78F8DC2D1359F18527593FB", "4111111111111111", "A912150391AB65A67E52883D81CE2D15"},
		{"C1D0F8FB4958670DBA40AB1F3752EF0D", "432198765432109870", "CC17F65586BFD0953010226C4FC5B3CA"},
		{"00112233445566778899AABBCCDDEEFF", "1234567890123456789", "28B41FDDD29B743E93124BD8E32D921E"},
	} {
		pin, err := PINBlock{Format: PINFormat4, Key: unhex(t, tt.key), Block: unhex(t, tt.block)}.decrypt(tt.pan)
		same(t, "format 4", pin, err, "01020304")
	}
	same(t, "the card number's field", longPAN("112233445566778899"), nil, "61122334455667788990000000000000")
}

// TestTranslatePIN: what comes out under the other key is the same PIN, from any
// format to any that it may become; another card number or key gives nothing.
func TestTranslatePIN(t *testing.T) {
	formats := []PINFormat{PINFormat0, PINFormat1, PINFormat3, PINFormat4}
	rapid.Check(t, func(t *rapid.T) {
		side := func(name string) PINBlock {
			return PINBlock{Format: rapid.SampledFrom(formats).Draw(t, name), Key: rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name+" key")}
		}
		from, to := side("from"), side("to")
		pin := rapid.SliceOfN(rapid.ByteRange(0, 9), 4, 12).Draw(t, "pin")
		pan := rapid.StringMatching(`[0-9]{12,19}`).Draw(t, "pan")
		var err error
		if from.Block, err = from.encrypt(pin, pan); err != nil {
			t.Fatal(err)
		}
		out, err := TranslatePIN(from, to, pan)
		if !from.Format.carries(to.Format) {
			if err == nil {
				t.Fatalf("format %d became %d", from.Format, to.Format)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		to.Block = out
		if got, err := to.decrypt(pan); err != nil || !bytes.Equal(got, pin) {
			t.Fatalf("%v became %v, %v", pin, got, err)
		}
	})
	key := unhex(t, "0123456789ABCDEFFEDCBA9876543210")
	block, err := PINBlock{Format: PINFormat0, Key: key}.encrypt([]byte{1, 2, 3, 4}, "5555555551234567")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]PINBlock{
		"other key":    {Key: unhex(t, "0123456789ABCDEFFEDCBA9876543211")[:16], Block: append([]byte{block[0] ^ 0x80}, block[1:]...)},
		"short block":  {Key: key, Block: block[:7]},
		"other format": {Format: PINFormat1, Key: key, Block: block},
	} {
		if _, err := TranslatePIN(b, PINBlock{Format: b.Format, Key: key}, "5555555551234567"); !errors.Is(err, ErrPIN) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDUKPTVectors: the example values of ANSI X9.24-1 and X9.24-3.
func TestDUKPTVectors(t *testing.T) {
	bdk := unhex(t, "0123456789ABCDEFFEDCBA9876543210")
	ik, err := InitialKeyTDES(bdk, unhex(t, "FFFF9876543210E00000"))
	same(t, "initial key", ik, err, "6AC292FAA1315B4D858AB3A3D7D5933A")
	for _, tt := range []struct{ ksn, key, block string }{
		{"E00001", "042666B49184CF5C68DE9628D0397B36", "1B9C1845EB993A7A"},
		{"E00002", "C46551CEF9FD244FAA9AD834130D3B38", "10A01C8D02C69107"},
		{"E00003", "0DF3D9422ACA561A47676D07AD6BAD05", "18DC07B94797B466"},
		{"E0000F", "93DD5B956C4878B82E453AAEFD32A555", "B170F6E7F7F2F64A"},
		{"EFF800", "F9CDFEBF4F5B1D61B3EC12454527E189", "33365F5CC6F23C35"},
		{"F00000", "AA4D58DB653EC7B548C75F2F047DD24A", "73EC88AD0AC5830E"},
	} {
		key, err := DeriveTDES(bdk, unhex(t, "FFFF9876543210"+tt.ksn), ForPIN)
		same(t, tt.ksn, key, err, tt.key)
		block, err := PINBlock{Format: PINFormat0, Key: key}.encrypt([]byte{1, 2, 3, 4}, "4012345678909")
		same(t, tt.ksn+" block", block, err, tt.block)
	}
	aesBDK := unhex(t, "FEDCBA9876543210F1F1F1F1F1F1F1F1")
	ik, err = InitialKeyAES(aesBDK, [8]byte(unhex(t, "1234567890123456")))
	same(t, "initial key", ik, err, "1273671EA26AC29AFA4D1084127652A1")
	for _, tt := range []struct{ counter, pin, mac, data string }{
		{"00000001", "AF8CB133A78F8DC2D1359F18527593FB", "A2DC23DE6FDE0824A2BC321E08E4B8B7", "A35C412EFD41FDB98B69797C02DCD08F"},
		{"00000002", "D30BDC73EC9714B000BEC66BDB7B6D09", "484C3B06E8562704528CD5B46FB12FB6", "D639514AA33AC43AD9229E433D6D4E5B"},
		{"00000003", "7D69F01F3B45449F62C7816ECE723268", "A5DF7D9D800CA769766F0C77CA4E6E6C", "EF17F6AB45B4820C93A3DCB21BC491AD"},
	} {
		for p, want := range map[Purpose]string{ForPIN: tt.pin, ForMACRequest: tt.mac, ForData: tt.data} {
			key, err := DeriveAES(aesBDK, unhex(t, "1234567890123456"+tt.counter), p)
			same(t, tt.counter, key, err, want)
		}
	}
	for _, ksn := range []string{"FFFF9876543210E00000", "FFFF9876543210FFFFFF"} {
		if _, err := DeriveTDES(bdk, unhex(t, ksn), ForPIN); !errors.Is(err, ErrKSN) {
			t.Errorf("%s: %v", ksn, err)
		}
	}
	if _, err := DeriveAES(aesBDK, unhex(t, "123456789012345600000000"), ForPIN); !errors.Is(err, ErrKSN) {
		t.Error(err)
	}
}

// TestKeyBlockVectors: key blocks of other people's software, and each changed
// character is noticed.
func TestKeyBlockVectors(t *testing.T) {
	for _, tt := range []struct{ protection, block string }{
		{"88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6",
			"D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A27E8E31DA05F7425509593D03A457DC34"},
		{"DD7515F2BFC17F85CE48F3CA25CB21F6",
			"B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E"},
	} {
		protection := unhex(t, tt.protection)
		h, key, err := UnwrapKey(protection, tt.block)
		same(t, tt.block[:1], key, err, "3F419E1CB7079442AA37474C2EFBF8B8")
		if h.Usage != "P0" || h.Mode != 'E' || h.Version != "00" || h.Exportability != 'E' {
			t.Errorf("header %+v", h)
		}
		for i := range tt.block {
			bad := []byte(tt.block)
			if bad[i]++; bad[i] == ':' {
				bad[i] = 'A'
			}
			if _, _, err := UnwrapKey(protection, string(bad)); !errors.Is(err, ErrKeyBlock) {
				t.Fatalf("character %d changed: %v", i, err)
			}
			if _, _, err := UnwrapKey(protection, tt.block[:i]); !errors.Is(err, ErrKeyBlock) {
				t.Fatalf("cut at %d: %v", i, err)
			}
		}
	}
}

// TestKeyBlockRoundTrip: every key that is wrapped is unwrapped, and under its
// own protection key alone.
func TestKeyBlockRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom([]Cipher{TDES, AES}).Draw(t, "cipher")
		size := rapid.SampledFrom(map[Cipher][]int{TDES: {16, 24}, AES: {16, 24, 32}}[c]).Draw(t, "size")
		protection := rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "protection")
		key := rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "key")
		in := KeyHeader{Usage: "M3", Algorithm: 'T', Mode: 'C', Version: "01", Exportability: 'N'}
		block, err := WrapKey(c, protection, in, key)
		if err != nil {
			t.Fatal(err)
		}
		h, got, err := UnwrapKey(protection, block)
		if err != nil || !bytes.Equal(got, key) || h.Usage != in.Usage || h.Algorithm != in.Algorithm || h.Mode != in.Mode || h.Version != in.Version || h.Exportability != in.Exportability {
			t.Fatalf("%+v %x, %v", h, got, err)
		}
		protection[size-2] ^= 0x10
		if _, _, err := UnwrapKey(protection, block); !errors.Is(err, ErrKeyBlock) {
			t.Fatalf("under another key: %v", err)
		}
	})
}

// FuzzUnwrapKey: no text brings the reader down, and nothing unproven is a key.
func FuzzUnwrapKey(f *testing.F) {
	f.Add("D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A27E8E31DA05F7425509593D03A457DC34")
	f.Add("B0080P0TE00E0100KS180000000000000000000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E")
	f.Fuzz(func(t *testing.T, block string) {
		if _, key, err := UnwrapKey(make([]byte, 16), block); err == nil {
			t.Errorf("%q holds %x", block, key)
		}
	})
}
