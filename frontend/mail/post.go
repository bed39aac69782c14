package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// SMTPOptions say how letters reach a mail server.
type SMTPOptions struct {
	Host     string
	Port     int    // default 587
	TLS      string // starttls (default), implicit, or none: for a server on this machine
	User     string // empty: no sign-in
	Password string
	From     string        // address of the sender, as "Tranzit <pay@example.com>"
	Timeout  time.Duration // of one letter; default 30s
}

// SMTP sends letters to a mail server, each over a connection of its own. It is
// goroutine-safe.
type SMTP struct {
	o       SMTPOptions
	options []gomail.Option
}

// NewSMTP makes an SMTP. It connects to nothing before Post.
func NewSMTP(o SMTPOptions) (*SMTP, error) {
	if o.Port == 0 {
		o.Port = 587
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	s := &SMTP{o: o, options: []gomail.Option{gomail.WithPort(o.Port), gomail.WithTimeout(o.Timeout)}}
	switch o.TLS {
	case "", "starttls":
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case "implicit":
		s.options = append(s.options, gomail.WithSSL())
	case "none":
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		return nil, fmt.Errorf("TLS is %q: want starttls, implicit or none", o.TLS)
	}
	if o.User != "" {
		s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(o.User), gomail.WithPassword(o.Password))
	}
	if _, err := letterOf(&Message{ID: "let", To: "a@example.com", Subject: "s"}, o.From); err != nil {
		return nil, err
	}
	_, err := gomail.NewClient(o.Host, s.options...)
	return s, err
}

// Post sends a letter once. The error of a server that will never take it is a
// *Refused.
func (s *SMTP) Post(ctx context.Context, m *Message) error {
	letter, err := letterOf(m, s.o.From)
	if err != nil {
		return &Refused{err}
	}
	client, err := gomail.NewClient(s.o.Host, s.options...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	err = client.DialAndSendWithContext(ctx, letter)
	var sent *gomail.SendError
	if errors.As(err, &sent) && sent.ErrorCode() >= 500 && !sent.IsTemp() {
		return &Refused{err}
	}
	return err
}

// Refused says that repeating cannot help.
type Refused struct{ Why error }

// Error is what the other side said.
func (r *Refused) Error() string { return "refused: " + r.Why.Error() }

// Unwrap is the cause.
func (r *Refused) Unwrap() error { return r.Why }

func letterOf(m *Message, from string) (*gomail.Msg, error) {
	letter := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := errors.Join(letter.From(from), letter.To(m.To)); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(strings.TrimSuffix(from, ">"), "@")
	letter.Subject(m.Subject)
	letter.SetDateWithValue(time.Now())
	letter.SetMessageIDWithValue(m.ID + "@" + domain)
	letter.SetGenHeader("Auto-Submitted", "auto-generated")
	letter.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		letter.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return letter, nil
}

// Folder puts letters into a directory, each as a file that a mail program can open and
// as one of plain text. It is for demonstrations and tests, and goroutine-safe.
type Folder struct {
	Dir  string
	From string
}

// Post writes a letter. The files appear whole, that of plain text first.
func (f *Folder) Post(_ context.Context, m *Message) error {
	letter, err := letterOf(m, f.From)
	if err != nil {
		return &Refused{err}
	}
	var text bytes.Buffer
	if _, err := letter.WriteTo(&text); err != nil {
		return err
	}
	plain := fmt.Sprintf("To: %s\nSubject: %s\n\n%s\n", m.To, m.Subject, strings.TrimSpace(m.Text))
	if err := f.write(m.ID+".text", []byte(plain)); err != nil {
		return err
	}
	return f.write(m.ID+".eml", text.Bytes())
}

func (f *Folder) write(name string, content []byte) error {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(f.Dir, name)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
