package scenarios

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed *.yaml
var embedded embed.FS

const maxFile = 1 << 20

// Names are those of the embedded scenarios, sorted.
func Names() []string {
	entries, err := embedded.ReadDir(".")
	if err != nil {
		panic(err) // the program was built without them
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// Text is the YAML of an embedded scenario.
func Text(name string) ([]byte, bool) {
	text, err := embedded.ReadFile(name + ".yaml")
	return text, err == nil
}

// Load reads an embedded scenario by its name, or a file.
func Load(nameOrFile string) (*Scenario, error) {
	if text, ok := Text(nameOrFile); ok {
		return Parse(nameOrFile+".yaml", text)
	}
	info, err := os.Stat(nameOrFile)
	if err != nil {
		return nil, fmt.Errorf("scenario %q is neither a file nor one of %s", nameOrFile, strings.Join(Names(), ", "))
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", nameOrFile, maxFile)
	}
	text, err := os.ReadFile(nameOrFile)
	if err != nil {
		return nil, err
	}
	return Parse(nameOrFile, text)
}

// Parse reads a scenario. Unknown keys are errors. Every error is one line that names
// the file, the line and the key.
func Parse(file string, text []byte) (*Scenario, error) {
	s := &Scenario{Name: strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), file: file, lines: map[string]int{}}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, s.reword(err)
	}
	s.index(&root, "")
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return nil, s.reword(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: one document is wanted, there is more", file)
	}
	s.ensureDefaults()
	return s, s.validate()
}

// index notes the line of every key, so that a later finding can name it.
func (s *Scenario) index(n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.DocumentNode:
		for _, k := range n.Content {
			s.index(k, path)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			at := strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
			s.lines[at] = n.Content[i].Line
			s.index(n.Content[i+1], at)
		}
	case yaml.SequenceNode:
		for i, k := range n.Content {
			at := path + "[" + strconv.Itoa(i) + "]"
			s.lines[at] = k.Line
			s.index(k, at)
		}
	}
}

var (
	unknownKey = regexp.MustCompile(`line (\d+): field (\S+) not found in type \S+`)
	anyLine    = regexp.MustCompile(`line (\d+): (.*)`)
	wrongKind  = regexp.MustCompile("cannot unmarshal !!\\w+ (?:`([^`]*)` )?into (\\S+)")
)

// reword turns the library's words into one line of ours.
func (s *Scenario) reword(err error) error {
	if m := unknownKey.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s: unknown key %q", s.file, m[1], m[2])
	}
	m := anyLine.FindStringSubmatch(err.Error())
	if m == nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	if kind := wrongKind.FindStringSubmatch(m[2]); kind != nil {
		m[2] = fmt.Sprintf("%q is not %s", kind[1], kindWord(kind[2]))
	}
	return fmt.Errorf("%s:%s: %s", s.file, m[1], m[2])
}

// kindWord names a Go type as the writer of a scenario knows it.
func kindWord(kind string) string {
	for _, w := range []struct{ prefix, word string }{
		{"time.Duration", "a duration such as 500ms, 5s or 1m"}, {"int", "a whole number"}, {"uint", "a whole number"}, {"float", "a number"},
		{"bool", "true or false"}, {"string", "text"}, {"[]", "a list"}, {"map", "a group of keys"}, {"bench.", "a word"},
	} {
		if strings.HasPrefix(kind, w.prefix) {
			return w.word
		}
	}
	return "a group of keys"
}

// fault is an error about one key, with the nearest line that is known.
func (s *Scenario) fault(path, format string, args ...any) error {
	line := 1
	for at := path; at != ""; {
		if n, ok := s.lines[at]; ok {
			line = n
			break
		}
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	return fmt.Errorf("%s:%d: %s: %s", s.file, line, path, fmt.Sprintf(format, args...))
}
