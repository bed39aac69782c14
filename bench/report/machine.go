package report

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Machine describes where figures were measured. What could not be read is empty.
type Machine struct {
	Taken  time.Time `json:"taken"`
	CPU    string    `json:"cpu"`
	Cores  int       `json:"cores"`
	Memory int64     `json:"memory_bytes"`
	Kernel string    `json:"kernel"`
	Go     string    `json:"go"`
	System string    `json:"system"` // operating system and architecture
	Fsync  *Fsync    `json:"fsync,omitempty"`
}

// Fsync is how long 4 KiB take to become durable at the end of a file, one after
// another. Times are microseconds.
type Fsync struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_us"`
	P99   float64 `json:"p99_us"`
}

const (
	fsyncMost = 500
	fsyncTime = 300 * time.Millisecond
)

// ReadMachine describes this machine and measures its fsync in a file of dir for
// at most a third of a second; the file is removed.
func ReadMachine(dir string) Machine {
	m := Machine{Taken: time.Now().UTC(), Cores: runtime.NumCPU(), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	read := func(name string) []byte {
		text, _ := os.ReadFile(name) // other systems have no such file
		return text
	}
	m.CPU = valueOf(read("/proc/cpuinfo"), "model name")
	m.Kernel = strings.TrimSpace(string(read("/proc/sys/kernel/osrelease")))
	total, _, _ := strings.Cut(valueOf(read("/proc/meminfo"), "MemTotal"), " ")
	if kib, err := strconv.ParseInt(total, 10, 64); err == nil {
		m.Memory = kib << 10
	}
	m.Fsync = measureFsync(dir)
	return m
}

// valueOf is what follows "name :" in a file of /proc, of its first occurrence.
func valueOf(text []byte, name string) string {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// measureFsync is nil when the folder cannot be written.
func measureFsync(dir string) *Fsync {
	f, err := os.CreateTemp(dir, "tranzit-fsync-")
	if err != nil {
		return nil
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4<<10)
	var times []time.Duration
	for begin := time.Now(); len(times) < fsyncMost && time.Since(begin) < fsyncTime; {
		if _, err := f.Write(block); err != nil {
			return nil
		}
		from := time.Now()
		if err := f.Sync(); err != nil {
			return nil
		}
		times = append(times, time.Since(from))
	}
	slices.Sort(times)
	at := func(p float64) float64 { return float64(times[int(p*float64(len(times)-1))]) / 1e3 }
	return &Fsync{Count: len(times), P50: at(0.5), P99: at(0.99)}
}

// rows are the machine for people.
func (m *Machine) rows() [][]string {
	rows := [][]string{{"Processor", m.CPU}, {"Cores", strconv.Itoa(m.Cores)}, {"Memory", FormatBytes(float64(m.Memory))},
		{"Kernel", m.Kernel}, {"Go", m.Go + " " + m.System}}
	if m.Fsync != nil {
		rows = append(rows, []string{"fsync of 4 KiB", FormatMicros(m.Fsync.P50) + " median, " + FormatMicros(m.Fsync.P99) + " at p99, of " + strconv.Itoa(m.Fsync.Count)})
	}
	return rows
}
