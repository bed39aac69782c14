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

// In the real program the dissectors of all built-in dialects read the golden
// vectors out of a capture, a message that is cut in two included, and show
// what people may see of them.
func TestDissectorsInTshark(t *testing.T) {
	program, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	dir := t.TempDir()
	line := []string{"-r", filepath.Join(dir, "all.pcap"), "-o", "tcp.check_checksum:FALSE", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=~", "-e", "tcp.dstport"}
	want := map[string]map[string][]string{} // by port, by field: the values in their order
	fields := map[string]bool{}
	c := newCapture()
	for i, name := range iso.Builtins() {
		d, err := iso.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		port := fmt.Sprint(9101 + i)
		script := filepath.Join(dir, name+".lua")
		if err := os.WriteFile(script, []byte(mustCommand(t, "", "dialect", "wireshark", name, "--port", port)), 0o600); err != nil {
			t.Fatal(err)
		}
		line = append(line, "-X", "lua_script:"+script)
		frames, messages := goldenFrames(t, d)
		stream, at := slices.Concat(frames...), 0
		for _, end := range []int{len(frames[0]), len(stream) - len(frames[len(frames)-1])/2, len(stream)} {
			c.segment(uint16(9101+i), at, stream[at:end])
			at = end
		}
		prefix := "tranzit_" + strings.ReplaceAll(d.ID(), "-", "_") + "."
		want[port] = map[string][]string{}
		for i := range messages {
			want[port][prefix+"mti"] = append(want[port][prefix+"mti"], messages[i].MTI.String())
			for _, view := range d.Describe(&messages[i])[1:] {
				if field := fmt.Sprint(prefix, "f", view.Number); view.Name[0] > '9' { // a part has its number before its name
					want[port][field] = append(want[port][field], view.Value)
				}
			}
		}
		for field := range want[port] {
			fields[field] = true
		}
	}
	columns := slices.Sorted(maps.Keys(fields))
	for _, field := range columns {
		line = append(line, "-e", field)
	}
	if err := os.WriteFile(filepath.Join(dir, "all.pcap"), c.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	tshark := exec.Command(program, line...)
	tshark.Env = append(os.Environ(), "HOME="+dir)
	var faults bytes.Buffer
	tshark.Stderr = &faults
	out, err := tshark.Output()
	if err != nil || strings.Contains(faults.String(), "Lua") {
		t.Fatalf("tshark: %v\n%s", err, faults.String())
	}
	got := map[string]map[string][]string{}
	for row := range strings.SplitSeq(strings.TrimRight(string(out), "\n"), "\n") {
		cells := strings.Split(row, "\t")
		if got[cells[0]] == nil {
			got[cells[0]] = map[string][]string{}
		}
		for i, cell := range cells[1:] {
			if cell != "" {
				got[cells[0]][columns[i]] = append(got[cells[0]][columns[i]], strings.Split(cell, "~")...)
			}
		}
	}
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
	if bytes.Contains(out, []byte("4111111111111111")) {
		t.Error("tshark shows a card number")
	}
}
