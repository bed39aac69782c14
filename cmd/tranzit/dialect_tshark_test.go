package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tranzit/tranzit/iso"
)

// goldenFrames are the golden vectors of a built-in dialect, as frames.
func goldenFrames(t *testing.T, d *iso.Dialect) (frames [][]byte, messages []iso.Message) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "iso", "dialects", d.ID()+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Golden []struct{ Text, Hex string }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	messages = make([]iso.Message, len(file.Golden))
	for i, g := range file.Golden {
		body := []byte(g.Text)
		if g.Hex != "" {
			if body, err = hex.DecodeString(strings.ReplaceAll(g.Hex, " ", "")); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Decode(body, &messages[i]); err != nil {
			t.Fatalf("%s: golden %d: %v", d.ID(), i, err)
		}
		frame, err := d.AppendFrame(nil, &messages[i])
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, frame)
	}
	return frames, messages
}

// capture is a packet capture in the classic format of libpcap.
type capture struct{ bytes.Buffer }

func newCapture() *capture {
	c := new(capture)
	for _, word := range []uint32{0xA1B2C3D4, 2<<16 | 4, 0, 0, 65535, 101} { // 101: packets begin with IP
		if word == 2<<16|4 {
			c.Write([]byte{0, 2, 0, 4})
			continue
		}
		_ = binary.Write(c, binary.BigEndian, word)
	}
	return c
}

// segment adds one TCP segment to a port of the loopback address, which begins at
// offset at of its stream.
func (c *capture) segment(port uint16, at int, payload []byte) {
	tcp := binary.BigEndian.AppendUint16(nil, 40000)
	tcp = binary.BigEndian.AppendUint16(tcp, port)
	tcp = binary.BigEndian.AppendUint32(tcp, uint32(1+at))
	tcp = append(tcp, 0, 0, 0, 1, 0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0)
	ip := []byte{0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1}
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(tcp)+len(payload)))
	packet := slices.Concat(ip, tcp, payload)
	for _, word := range []uint32{1_780_000_000, 0, uint32(len(packet)), uint32(len(packet))} {
		_ = binary.Write(c, binary.BigEndian, word)
	}
	c.Write(packet)
}

// shownFields are values by port and field, in their order.
type shownFields map[string]map[string][]string

func (s shownFields) add(port, field string, values ...string) {
	if s[port] == nil {
		s[port] = map[string][]string{}
	}
	s[port][field] = append(s[port][field], values...)
}

// stage writes a dialect's dissector and puts its golden vectors into the capture:
// the first alone, the last cut in two, the others in one segment.
func (c *capture) stage(t *testing.T, d *iso.Dialect, script string, port uint16, want shownFields) {
	t.Helper()
	if err := os.WriteFile(script, []byte(mustCommand(t, "", "dialect", "wireshark", d.ID(), "--port", fmt.Sprint(port))), 0o600); err != nil {
		t.Fatal(err)
	}
	frames, messages := goldenFrames(t, d)
	stream, at := slices.Concat(frames...), 0
	for _, end := range []int{len(frames[0]), len(stream) - len(frames[len(frames)-1])/2, len(stream)} {
		c.segment(port, at, stream[at:end])
		at = end
	}
	prefix := "tranzit_" + strings.ReplaceAll(d.ID(), "-", "_") + "."
	for i := range messages {
		want.add(fmt.Sprint(port), prefix+"mti", messages[i].MTI.String())
		for _, view := range d.Describe(&messages[i])[1:] {
			if view.Name[0] > '9' { // a part has its number before its name
				want.add(fmt.Sprint(port), fmt.Sprint(prefix, "f", view.Number), view.Value)
			}
		}
	}
}

// tshark reads a capture with dissectors and returns what it shows of the fields.
func tshark(t *testing.T, dir string, scripts, fields []string) shownFields {
	t.Helper()
	program, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	line := []string{"-r", filepath.Join(dir, "all.pcap"), "-T", "fields", "-E", "separator=/t", "-E", "aggregator=~", "-e", "tcp.dstport"}
	for _, script := range scripts {
		line = append(line, "-X", "lua_script:"+script)
	}
	for _, field := range fields {
		line = append(line, "-e", field)
	}
	cmd := exec.Command(program, line...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil || strings.Contains(faults.String(), "Lua") {
		t.Fatalf("tshark: %v\n%s", err, faults.String())
	}
	if bytes.Contains(out, []byte("4111111111111111")) {
		t.Error("tshark shows a card number")
	}
	got := shownFields{}
	for row := range strings.SplitSeq(strings.TrimRight(string(out), "\n"), "\n") {
		cells := strings.Split(row, "\t")
		for i, cell := range cells[1:] {
			if cell != "" {
				got.add(cells[0], fields[i], strings.Split(cell, "~")...)
			}
		}
	}
	return got
}

// In the real program the dissectors of all built-in dialects read the golden
// vectors out of a capture, and show what people may see of them.
func TestDissectorsInTshark(t *testing.T) {
	t.Parallel()
	dir, want, c := t.TempDir(), shownFields{}, newCapture()
	var scripts []string
	for i, name := range iso.Builtins() {
		d, err := iso.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, filepath.Join(dir, name+".lua"))
		c.stage(t, d, scripts[i], uint16(9101+i), want)
	}
	if err := os.WriteFile(filepath.Join(dir, "all.pcap"), c.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, fields := range want {
		maps.Copy(all, fields)
	}
	got := tshark(t, dir, scripts, slices.Sorted(maps.Keys(all)))
	for port, fields := range want {
		for field, values := range fields {
			shown := got[port][field]
			if len(shown) != len(values) {
				t.Errorf("%s: %s is shown %d times, want %d: %q", port, field, len(shown), len(values), shown)
				continue
			}
			for i := range values {
				if !strings.HasPrefix(shown[i], "(masked") && !strings.EqualFold(shown[i], values[i]) {
					t.Errorf("%s: %s is %q, want %q", port, field, shown[i], values[i])
				}
			}
		}
	}
}
