package cabinet

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// qrImage is a QR code (ISO/IEC 18004) as one path of an SVG.
type qrImage struct {
	Size int // modules with the quiet zone
	Path string
}

const quietZone = 4

// qrPath draws a text. It is empty for one that is too long.
func qrPath(text string) qrImage {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return qrImage{}
	}
	var b strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from+quietZone, y+quietZone, x-from, x-from)
			}
		}
	}
	return qrImage{Size: code.Size + 2*quietZone, Path: b.String()}
}
