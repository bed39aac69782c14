package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/frontend/guide"
	"github.com/tranzit/tranzit/frontend/mail"
	"github.com/tranzit/tranzit/switch/joining"
)

// JoiningConfig says how shops join.
type JoiningConfig struct {
	TestBanks      []string      `yaml:"test_banks"`
	TestFor        time.Duration `yaml:"test_for"`
	MaxPerHour     int           `yaml:"max_per_hour"`
	MaxDocument    int           `yaml:"max_document"`
	Holidays       []string      `yaml:"holidays"`
	TimeZone       string        `yaml:"time_zone"`
	API            string        `yaml:"api"`
	OperatorsEmail string        `yaml:"operators_email"`
}

// MailConfig says how letters are sent.
type MailConfig struct {
	Host      string `yaml:"host"`
	Port      int    `yaml:"port"`
	TLS       string `yaml:"tls"`
	User      string `yaml:"user"`
	Password  string `yaml:"password"`
	From      string `yaml:"from"`
	Folder    string `yaml:"folder"`
	PerMinute int    `yaml:"per_minute"`
	SMS       struct {
		URL   string `yaml:"url"`
		Token string `yaml:"token"`
	} `yaml:"sms"`
}

// joiningOptions reads what is said of joining.
func (c *Config) joiningOptions() (o joining.Options, err error) {
	j := &c.Joining
	o = joining.Options{TestBanks: j.TestBanks, TestFor: j.TestFor, MaxPerHour: j.MaxPerHour, MaxDocument: j.MaxDocument, API: j.API,
		OperatorsEmail: j.OperatorsEmail, Documents: filepath.Join(c.Data, "documents"), Calendar: joining.Calendar{Holidays: map[string]bool{}}}
	if o.Calendar.Zone, err = time.LoadLocation(j.TimeZone); err != nil {
		return o, c.fault("joining.time_zone", "%q is no time zone", j.TimeZone)
	}
	for i, day := range j.Holidays {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			return o, c.fault(fmt.Sprintf("joining.holidays[%d]", i), "%q is not a date like 2027-01-01", day)
		}
		o.Calendar.Holidays[day] = true
	}
	for i, id := range j.TestBanks {
		if !slices.ContainsFunc(c.Banks, func(b BankConfig) bool { return b.ID == id && b.Mode == "test" }) {
			return o, c.fault(fmt.Sprintf("joining.test_banks[%d]", i), "%q is no bank in test mode", id)
		}
	}
	switch u, err := url.Parse(j.API); {
	case j.TestFor != 0 && (j.TestFor < time.Minute || j.TestFor > 90*24*time.Hour):
		return o, c.fault("joining.test_for", "%s is not within 1m..2160h", j.TestFor)
	case j.MaxPerHour < 0 || j.MaxPerHour > 100_000:
		return o, c.fault("joining.max_per_hour", "%d is not within 0..100000", j.MaxPerHour)
	case j.MaxDocument < 0 || j.MaxDocument > 1<<20:
		return o, c.fault("joining.max_document", "%d is not within 0..1048576", j.MaxDocument)
	case j.API != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.HasSuffix(j.API, "/")):
		return o, c.fault("joining.api", "%q is not an address like https://api.example", j.API)
	case j.OperatorsEmail != "" && !joining.IsAddress(j.OperatorsEmail):
		return o, c.fault("joining.operators_email", "%q is not an e-mail address", j.OperatorsEmail)
	}
	return o, nil
}

// letterOptions reads how letters are sent: by a mail server or, when none is named,
// into a directory.
func (c *Config) letterOptions() (o mail.Options, err error) {
	m := &c.Mail
	o.PerMinute = m.PerMinute
	if m.PerMinute < 0 || m.PerMinute > 100_000 {
		return o, c.fault("mail.per_minute", "%d is not within 0..100000", m.PerMinute)
	}
	if m.Port < 0 || m.Port > 65535 {
		return o, c.fault("mail.port", "%d is no port", m.Port)
	}
	from := m.From
	setDefault(&from, "Tranzit <tranzit@localhost.localdomain>")
	if m.Host == "" {
		o.Mail = &mail.Folder{Dir: c.letterFolder(), From: from}
	} else {
		password, err := secret(m.Password)
		if err != nil {
			return o, c.fault("mail.password", "%v", err)
		}
		if m.From == "" {
			return o, c.fault("mail.from", "a mail server needs the address of the sender")
		}
		if o.Mail, err = mail.NewSMTP(mail.SMTPOptions{Host: m.Host, Port: m.Port, TLS: m.TLS, User: m.User, Password: password, From: from}); err != nil {
			return o, c.fault("mail", "%v", err)
		}
	}
	o.SMS = &mail.Notes{Dir: c.letterFolder()}
	if m.SMS.URL != "" {
		u, err := url.Parse(m.SMS.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return o, c.fault("mail.sms.url", "%q is not an address like https://sms.example/send", m.SMS.URL)
		}
		token, err := secret(m.SMS.Token)
		if err != nil {
			return o, c.fault("mail.sms.token", "%v", err)
		}
		o.SMS = &mail.Gateway{URL: m.SMS.URL, Token: token}
	}
	return o, nil
}

func (c *Config) letterFolder() string {
	if c.Mail.Folder != "" {
		return c.Mail.Folder
	}
	return filepath.Join(c.Data, "letters")
}

// testCards are those of the simulated banks, for the guides of shops.
func testCards() (list []guide.Card) {
	for _, c := range banksim.Cards() {
		list = append(list, guide.Card{Number: c.Number, Does: c.Does})
	}
	return list
}
