package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tranzit/tranzit/acquirers/keystore"
)

// Config is tranzit.yaml. Every key is explained in tranzit.example.yaml;
// unknown keys are errors; zero values take the defaults named there.
type Config struct {
	Listen  string `yaml:"listen"`
	Admin   string `yaml:"admin"`
	Data    string `yaml:"data"`
	KeyFile string `yaml:"key_file"`

	Log struct {
		Level  string `yaml:"level"`
		Format string `yaml:"format"`
	} `yaml:"log"`
	HTTP struct {
		MaxBody     int           `yaml:"max_body"`
		ReadTimeout time.Duration `yaml:"read_timeout"`
		IdleTimeout time.Duration `yaml:"idle_timeout"`
		Connections int           `yaml:"connections"`
		Proxies     []string      `yaml:"trusted_proxies"`
		TLS         httpTLS       `yaml:"tls"`
	} `yaml:"http"`
	Journal struct {
		ReserveMiB  int           `yaml:"reserve_mib"`
		CacheMiB    int           `yaml:"cache_mib"`
		MemtableMiB int           `yaml:"memtable_mib"`
		SlowAfter   time.Duration `yaml:"slow_after"`
	} `yaml:"journal"`
	Limits struct {
		MaxInFlight   int     `yaml:"max_in_flight"`
		MerchantShare float64 `yaml:"merchant_share"`
	} `yaml:"limits"`
	Retries struct {
		File     string `yaml:"file"`
		TestMode bool   `yaml:"test_mode"`
	} `yaml:"retries"`
	Runtime struct {
		GCPercent  int `yaml:"gc_percent"`
		MemoryMiB  int `yaml:"memory_mib"`
		Processors int `yaml:"processors"`
	} `yaml:"runtime"`
	DrainTimeout time.Duration  `yaml:"drain_timeout"`
	Webhooks     WebhooksConfig `yaml:"webhooks"`
	Page         PageConfig     `yaml:"page"`

	KeyStore  KeyStoreConfig   `yaml:"key_store"`
	Banks     []BankConfig     `yaml:"banks"`
	Merchants []MerchantConfig `yaml:"merchants"`
	Assist    AssistConfig     `yaml:"assist"`
	Cabinet   CabinetConfig    `yaml:"cabinet"`
	Joining   JoiningConfig    `yaml:"joining"`
	Mail      MailConfig       `yaml:"mail"`

	file  string
	lines map[string]int // path of a key -> its line
	keys  keystore.Store // opened by keyStore
}

// httpTLS is how the merchants' listener is encrypted; the zero value: not at all.
type httpTLS struct {
	Cert       string `yaml:"cert"`
	Key        string `yaml:"key"`
	ClientCA   string `yaml:"client_ca"`
	MinVersion string `yaml:"min_version"`
}

// BankConfig is one bank of the configuration.
type BankConfig struct {
	ID        string `yaml:"id"`
	Dialect   string `yaml:"dialect"`
	Candidate struct {
		Dialect string `yaml:"dialect"`
		Version int    `yaml:"version"`
		Canary  canary `yaml:"canary"`
	} `yaml:"candidate"`
	Profile          string   `yaml:"profile"`
	Mode             string   `yaml:"mode"`
	Endpoints        []string `yaml:"endpoints"`
	Direction        string   `yaml:"direction"`
	Listen           string   `yaml:"listen"`
	Peers            []string `yaml:"peers"`
	MaxPeers         int      `yaml:"max_peers"`
	LinksPerEndpoint int      `yaml:"links_per_endpoint"`
	Window           int      `yaml:"window"`
	ReversalShare    int      `yaml:"reversal_share"`
	Timeouts         struct {
		Connect  time.Duration `yaml:"connect"`
		Write    time.Duration `yaml:"write"`
		Response time.Duration `yaml:"response"`
		Reversal time.Duration `yaml:"reversal"`
	} `yaml:"timeouts"`
	Echo struct {
		Interval time.Duration `yaml:"interval"`
		Timeout  time.Duration `yaml:"timeout"`
		Misses   int           `yaml:"misses"`
	} `yaml:"echo"`
	Reconnect struct {
		Min time.Duration `yaml:"min"`
		Max time.Duration `yaml:"max"`
	} `yaml:"reconnect"`
	SignOn      signOn `yaml:"sign_on"`
	Institution string `yaml:"institution"`
	Forwarder   string `yaml:"forwarder"`

	Keys           map[string]string `yaml:"keys"`
	KeyChangeEvery time.Duration     `yaml:"key_change_every"`
	KeyChangeAfter int               `yaml:"key_change_after"`
	TLS            *struct {
		CA         string `yaml:"ca"`
		Cert       string `yaml:"cert"`
		Key        string `yaml:"key"`
		ServerName string `yaml:"server_name"`
		MinVersion string `yaml:"min_version"`
	} `yaml:"tls"`
}

// signOn says who signs a link on.
type signOn string

const (
	signOnOurs   signOn = "ours"
	signOnTheirs signOn = "theirs"
	signOnNone   signOn = "none"
)

// UnmarshalYAML implements yaml.Unmarshaler. true stands for ours, false for
// none.
func (s *signOn) UnmarshalYAML(n *yaml.Node) error {
	var yes bool
	switch {
	case n.Decode(&yes) != nil:
		*s = signOn(n.Value)
	case yes:
		*s = signOnOurs
	default:
		*s = signOnNone
	}
	return nil
}

// MerchantConfig is one merchant of the configuration.
type MerchantConfig struct {
	ID       string `yaml:"id"`
	Name     string `yaml:"name"`
	City     string `yaml:"city"`
	Country  string `yaml:"country"`
	MCC      string `yaml:"mcc"`
	TimeZone string `yaml:"time_zone"`
	Keys     []struct {
		Mode string `yaml:"mode"`
		Key  string `yaml:"key"`
		Hash string `yaml:"sha256"`

		Scopes       []string   `yaml:"scopes"`
		ExpiresAt    *time.Time `yaml:"expires_at"`
		Addresses    []string   `yaml:"addresses"`
		Certificates []string   `yaml:"certificates"`
	} `yaml:"keys"`
	Certificates []string       `yaml:"certificates"`
	Banks        []merchantBank `yaml:"banks"`
	Rate         struct {
		PerSecond float64 `yaml:"per_second"`
		Burst     int     `yaml:"burst"`
	} `yaml:"rate"`
	MaxInFlight   int  `yaml:"max_in_flight"`
	OrderOnce     bool `yaml:"order_once"`
	AcceptPartial bool `yaml:"accept_partial"`
	CardPresent   bool `yaml:"card_present"`
	PIN           *struct {
		Keys     map[string]string `yaml:"keys"`
		BaseKeys map[string]string `yaml:"base_keys"`
	} `yaml:"pin"`
	Events   bool   `yaml:"events"`
	Receipts bool   `yaml:"receipts"`
	Language string `yaml:"language"`
	Check    *struct {
		URL        string        `yaml:"url"`
		Secret     string        `yaml:"secret"`
		Deadline   time.Duration `yaml:"deadline"`
		OnNoAnswer string        `yaml:"on_no_answer"`
	} `yaml:"check"`
}

// merchantBank is what a bank calls a merchant.
type merchantBank struct {
	Bank       string           `yaml:"bank"`
	MerchantID string           `yaml:"merchant_id"`
	Terminals  []string         `yaml:"terminals"`
	Payouts    map[string]int64 `yaml:"payouts"`
}

// LoadConfig reads and validates a configuration file. Every error is one line
// that names the file, the line and the key.
func LoadConfig(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return parseConfig(path, text)
}

func parseConfig(path string, text []byte) (*Config, error) {
	c := &Config{file: path, lines: map[string]int{}}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, c.yamlError(err)
	}
	c.index(&root, "")
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, c.yamlError(err)
	}
	if err := c.fromEnvironment(reflect.ValueOf(c).Elem(), "TRANZIT"); err != nil {
		return nil, err
	}
	c.ensureDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// index notes the line of every key, so that a later finding can name it.
func (c *Config) index(n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.DocumentNode:
		for _, k := range n.Content {
			c.index(k, path)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			at := strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
			c.lines[at] = n.Content[i].Line
			c.index(n.Content[i+1], at)
		}
	case yaml.SequenceNode:
		for i, k := range n.Content {
			at := path + "[" + strconv.Itoa(i) + "]"
			c.lines[at] = k.Line
			c.index(k, at)
		}
	}
}

var (
	yamlUnknown = regexp.MustCompile(`line (\d+): field (\S+) not found in type \S+`)
	yamlLine    = regexp.MustCompile(`line (\d+): (.*)`)
	yamlKind    = regexp.MustCompile(`cannot unmarshal !!(\w+) (?:` + "`([^`]*)`" + ` )?into (.*)`)
)

// yamlError turns the library's words into one line of ours.
func (c *Config) yamlError(err error) error {
	if m := yamlUnknown.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s: unknown key %q", c.file, m[1], m[2])
	}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if kind := yamlKind.FindStringSubmatch(m[2]); kind != nil {
			m[2] = wrongKind(kind[1], kind[2], kind[3])
		}
		return fmt.Errorf("%s:%s: %s", c.file, m[1], m[2])
	}
	return fmt.Errorf("%s: %w", c.file, err)
}

// wrongKind words a value of another kind than its key wants, without the
// names of Go's types.
func wrongKind(kind, value, want string) string {
	for _, w := range []struct{ prefix, word string }{
		{"time.Duration", "a duration such as 500ms, 5s or 1m"}, {"int", "a whole number"}, {"float", "a number"}, {"bool", "true or false"},
		{"string", "text"}, {"[]", "a list"},
	} {
		if strings.HasPrefix(want, w.prefix) {
			want = w.word
			break
		}
	}
	if strings.HasPrefix(want, "struct") || strings.HasPrefix(want, "main.") {
		want = "a group of keys"
	}
	if kind == "seq" || kind == "map" {
		return fmt.Sprintf("a %s stands where %s is wanted", map[string]string{"seq": "list", "map": "group of keys"}[kind], want)
	}
	return fmt.Sprintf("%q is not %s", value, want)
}

// fault is an error about one key, with the nearest line that is known.
func (c *Config) fault(path, format string, args ...any) error {
	line := 1
	for at := path; at != ""; {
		if n, ok := c.lines[at]; ok {
			line = n
			break
		}
		cut := strings.LastIndexAny(at, ".[")
		if cut < 0 {
			break
		}
		at = at[:cut]
	}
	return fmt.Errorf("%s:%d: %s: %s", c.file, line, path, fmt.Sprintf(format, args...))
}

// fromEnvironment lets TRANZIT_LISTEN, TRANZIT_LOG_LEVEL and so on override
// every scalar outside the lists.
func (c *Config) fromEnvironment(v reflect.Value, prefix string) error {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("yaml")
		if tag == "" {
			continue
		}
		name := prefix + "_" + strings.ToUpper(tag)
		f := v.Field(i)
		if f.Kind() == reflect.Struct {
			if err := c.fromEnvironment(f, name); err != nil {
				return err
			}
			continue
		}
		text, ok := os.LookupEnv(name)
		if !ok || f.Kind() == reflect.Slice {
			continue
		}
		if err := yaml.Unmarshal([]byte(text), f.Addr().Interface()); err != nil {
			return fmt.Errorf("environment variable %s: cannot be read as %s", name, f.Type())
		}
	}
	return nil
}

func (c *Config) ensureDefaults() {
	setDefault(&c.Listen, "127.0.0.1:8080")
	setDefault(&c.Admin, "127.0.0.1:9090")
	setDefault(&c.Data, "tranzit-data")
	setDefault(&c.KeyFile, filepath.Join(c.Data, "vault.key"))
	setDefault(&c.Log.Level, "info")
	setDefault(&c.Log.Format, "json")
	setDefault(&c.Runtime.GCPercent, 100)
	setDefault(&c.DrainTimeout, 40*time.Second)
	setDefault(&c.Joining.TimeZone, "UTC")
	for i := range c.Banks {
		b := &c.Banks[i]
		setDefault(&b.Mode, "test")
		setDefault(&b.Direction, "dial")
		setDefault(&b.SignOn, signOnOurs)
	}
	for i := range c.Merchants {
		setDefault(&c.Merchants[i].TimeZone, "UTC")
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// secret resolves a `file:` or `env:` reference; other text stands for itself.
func secret(text string) (string, error) {
	if path, ok := strings.CutPrefix(text, "file:"); ok {
		content, err := os.ReadFile(path)
		return strings.TrimSpace(string(content)), err
	}
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		value, set := os.LookupEnv(name)
		if !set {
			return "", fmt.Errorf("environment variable %s is not set", name)
		}
		return value, nil
	}
	return text, nil
}
