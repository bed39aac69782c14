// Package iso holds the vocabulary of ISO 8583 (message types, card numbers,
// trace numbers, amounts, response codes), the banks' dialects as data, and the
// bytes they turn messages into. Card numbers and verification codes are types
// that print masked wherever they go.
package iso

import (
	"embed"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

//go:embed dialects/*.yaml
var builtinFiles embed.FS

// builtinNames are the names of the embedded files, in their order: a file more in
// the folder is a built-in dialect more.
var builtinNames = embeddedNames(builtinFiles, "dialects")

func embeddedNames(embedded embed.FS, folder string) (names []string) {
	files, err := embedded.ReadDir(folder)
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".yaml"))
	}
	return names
}

// Dialect is one bank's way of speaking ISO 8583, read from a YAML file and
// compiled into tables. It is immutable after load; every method is
// goroutine-safe, and those on the payment path do not allocate.
type Dialect struct {
	id, title string
	version   int
	mark      uint32    // of the revision, in every Key
	from, end time.Time // from the first day it is used to the end of the last; zero: any
	frame     frameRules
	codec     codec
	names     [maxDialectField + 1]string
	private   *layout // of fields that have only tags

	requests [opCount]program
	answers  []answerClass
	network  [opCount]string
	granted  map[string]bool // codes that grant what a network message asks for; nil: those that approve

	steps          []*NetworkStep
	connect, close []*NetworkStep

	processing [opCount]string // DE3 of a request, where it is a constant
	parts      bool            // a void can name what stays
	partsIn4   bool            // it does so in field 4, and the original amount is elsewhere
	totals     bool            // an increment names the new total, not what is added
	advices    map[string]ReversalVerdict
	reasons    [reasonCount]string
	coded      [srcCount][]string // the bank's code for each word of a source that has words
	rrn        []rrnPart
	at         [srcCount]uint8 // a field that requests carry the source in; 0: none
	says       ends
	likes      sync.Map // likeness to code: what CodeLike found
	codes      map[string]CodeMeaning
	unknown    CodeMeaning
	verdicts   map[string]ReversalVerdict
	behaviour  Behaviour
	golden     []goldenVector
	mac        *macRules // nil: messages carry no codes
	exchange   *keyExchange
	pin        *pinRules // nil: the bank takes no PINs
	spec       moovForm
}

// Behaviour is what the bank expects in time and order. Read only.
type Behaviour struct {
	ReversalNewSTAN bool          // a reversal takes its own trace number, else the original's
	ReversalMTI     MTI           // the message type of a reversal
	ResponseTimeout time.Duration // wait for the answer to a request
	ReversalTimeout time.Duration // wait for the answer to a reversal
	SAF             SAFSchedule
	EchoInterval    time.Duration // silence after which an echo is sent
	LateWindow      time.Duration // how long after its timeout an answer is still looked up
}

// SAFSchedule is when an unanswered reversal is sent again.
type SAFSchedule struct {
	First, Cap, Expiry time.Duration // first delay, longest delay, whole time before people must act
	Factor             float64       // growth of the delay
	MaxAttempts        int           // 0: no limit but Expiry
}

var builtins = sync.OnceValues(func() (map[string]*Dialect, error) {
	loaded := make(map[string]*Dialect, len(builtinNames))
	for _, name := range builtinNames {
		text, err := builtinFiles.ReadFile("dialects/" + name + ".yaml")
		if err != nil {
			return nil, err
		}
		d, err := ParseDialect(name+".yaml", text)
		if err != nil {
			return nil, err
		}
		loaded[name] = d
	}
	return loaded, nil
})

// Builtins lists the names Builtin knows.
func Builtins() []string { return append([]string(nil), builtinNames...) }

// Builtin returns a dialect that comes with the program.
func Builtin(name string) (*Dialect, error) {
	all, err := builtins()
	if err != nil {
		return nil, err
	}
	if d, ok := all[name]; ok {
		return d, nil
	}
	return nil, fmt.Errorf("iso: no built-in dialect %q; there are %s", name, strings.Join(builtinNames, ", "))
}

// BuiltinFile returns the text of a built-in dialect, the best start for a file of one's own.
func BuiltinFile(name string) ([]byte, error) {
	if _, err := Builtin(name); err != nil {
		return nil, err
	}
	return builtinFiles.ReadFile("dialects/" + name + ".yaml")
}

// maxFileSize bounds a dialect file.
const maxFileSize = 1 << 20

// LoadFile reads a dialect file. A file that is wrong gives a *LoadError.
func LoadFile(path string) (*Dialect, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return ParseDialect(path, text)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileSize {
		return nil, &LoadError{File: path, Line: 1, Text: "the file is larger than 1 MiB; a dialect takes a few KiB"}
	}
	return os.ReadFile(path)
}

// Resolve returns the built-in dialect of that name, else reads the file.
func Resolve(nameOrPath string) (*Dialect, error) {
	for _, name := range builtinNames {
		if name == nameOrPath {
			return Builtin(name)
		}
	}
	if !strings.ContainsAny(nameOrPath, "./\\") {
		return Builtin(nameOrPath)
	}
	return LoadFile(nameOrPath)
}

// ID is the dialect's short name.
func (d *Dialect) ID() string { return d.id }

// Title is one line for people.
func (d *Dialect) Title() string { return d.title }

// Version is the revision the file states.
func (d *Dialect) Version() int { return d.version }

// Behaviour is what the bank expects in time and order.
func (d *Dialect) Behaviour() *Behaviour { return &d.behaviour }

// Supports reports whether the dialect has a message for the operation.
func (d *Dialect) Supports(op Operation) bool { return op < opCount && d.requests[op].mti != 0 }

// MTI is the type of the operation's message, 0 when the dialect has none.
func (d *Dialect) MTI(op Operation) MTI {
	if op >= opCount {
		return 0
	}
	return d.requests[op].mti
}

// PartialVoid reports whether a void can undo a part.
func (d *Dialect) PartialVoid() bool { return d.parts }

// IncrementByTotal reports whether an increment names what is held in all after
// it; else it names what is added.
func (d *Dialect) IncrementByTotal() bool { return d.totals }

// BuildRepeat marks m as a repeat: 0420 becomes 0421, the rest stays.
func (d *Dialect) BuildRepeat(m *Message) { m.MTI = m.MTI.Repeat() }
