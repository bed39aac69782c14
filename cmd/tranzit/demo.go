package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
	"github.com/tranzit/tranzit/switch/people"
)

//go:embed tranzit.example.yaml
var exampleConfig []byte

const demoKey = "sk_test_demo_4f9a1c7e2b6d8035"

type demoFlags struct{ data, listen, admin, cabinet string }

func demoCommand() *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole system on loopback: the switch and three simulated banks",
		Long: `Demo starts the switch, two simulated banks of different dialects over real
TCP, a third one for shops that go live, and a demo merchant in test mode, and
prints a curl line that works when pasted. Ctrl-C drains. The data stays: a
second run finds the earlier payments.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), f, cmd.OutOrStdout())
		},
	}
	c.Flags().StringVar(&f.data, "data", "tranzit-data", "data directory")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "address of the merchants' API")
	c.Flags().StringVar(&f.admin, "admin", "127.0.0.1:9090", "address of the admin listener")
	c.Flags().StringVar(&f.cabinet, "cabinet", "localhost:8081", "address of the cabinet")
	return c
}

func demo(ctx context.Context, f demoFlags, out io.Writer) error {
	cfg, err := parseConfig("tranzit.example.yaml", exampleConfig)
	if err != nil {
		return err
	}
	cfg.Data, cfg.KeyFile, cfg.Listen, cfg.Admin = f.data, filepath.Join(f.data, "vault.key"), f.listen, f.admin
	cfg.Webhooks.AllowHTTP, cfg.Webhooks.AllowNetworks = true, []string{"127.0.0.0/8", "::1/128"}
	cfg.Assist.Enabled, cfg.Page.ThreeDS = true, "simulated"
	cfg.Cabinet.Listen = f.cabinet
	cfg.Banks = append(cfg.Banks, demoLive(cfg.Banks[0]))
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return err
	}
	logFile, err := os.OpenFile(filepath.Join(f.data, "demo.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()

	var sims []*banksim.Bank
	defer func() {
		for _, sim := range sims {
			_ = sim.Close()
		}
	}()
	for i := range cfg.Banks {
		sim, err := demoBank(&cfg.Banks[i])
		if err != nil {
			return fmt.Errorf("simulated bank %s: %w", cfg.Banks[i].ID, err)
		}
		sims = append(sims, sim)
	}
	a, err := startApp(cfg, logFile)
	if err != nil {
		return err
	}
	if err := a.awaitReady(ctx, 10*time.Second); err != nil {
		return errors.Join(err, a.stop())
	}
	printDemo(out, a, cfg, sims)
	if err := printPage(out, a); err != nil {
		return errors.Join(err, a.stop())
	}
	if err := a.printCabinet(out); err != nil {
		return errors.Join(err, a.stop())
	}
	fmt.Fprint(out, "\nCtrl-C drains and stops.\n")
	select {
	case err = <-a.failed:
	case <-ctx.Done():
		fmt.Fprintln(out, "\nDraining ...")
	}
	err = errors.Join(err, a.stop())
	if err == nil {
		fmt.Fprintf(out, "Stopped. The payments are kept in %s.\n", f.data)
	}
	return err
}

// demoLive is a bank like another, for live payments: where a shop that joins goes in
// the end. It is simulated, too.
func demoLive(b BankConfig) BankConfig {
	b.ID, b.Mode = b.ID+"_live", "live"
	return b
}

// demoBank starts the simulator a demo bank dials, on any free port.
func demoBank(b *BankConfig) (*banksim.Bank, error) {
	d, err := iso.Resolve(b.Dialect)
	if err != nil {
		return nil, err
	}
	sim, err := banksim.New(banksim.Config{Dialect: d, Listen: "127.0.0.1:0", BooksListen: "127.0.0.1:0",
		LateBy: 2 * b.Timeouts.Response, AmountTriggers: true})
	if err != nil {
		return nil, err
	}
	if err := sim.Start(); err != nil {
		return nil, err
	}
	b.Endpoints = []string{sim.Addr()}
	return sim, nil
}

// awaitReady waits until every bank is signed on.
func (a *app) awaitReady(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, reasons := a.core.Ready()
		missing := ""
		for _, r := range reasons {
			if !r.OK {
				missing = r.Part + ": " + r.Detail
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s: %s", limit, missing)
		case <-tick.C:
		}
	}
}

func printDemo(out io.Writer, a *app, cfg *Config, sims []*banksim.Bank) {
	api := "http://" + a.listeners[0].Addr().String()
	control := "http://" + a.listeners[1].Addr().String()
	fmt.Fprintf(out, "Tranzit is up.\n\n  API      %s\n  key      %s\n  admin    %s/readyz  %s/metrics\n", api, demoKey, control, control)
	for i, sim := range sims {
		fmt.Fprintf(out, "  bank     %-9s %-9s %s, its books: http://%s/books\n", cfg.Banks[i].ID, cfg.Banks[i].Dialect, sim.Addr(), sim.BooksAddr())
	}
	fmt.Fprintf(out, "  data     %s (log: demo.log)\n\nPay:\n\n%s\n\n", cfg.Data, payLine(a.listeners[0].Addr()))
	fmt.Fprintf(out, "Then look at it:\n\n  curl -s -u %s: %s/v1/payments\n\n", demoKey, api)
	fmt.Fprintf(out, "Join as a shop: %s/join; docs/joining.md, Try it, goes on from there. Letters are files in %s/\n", a.cabinetAt(), cfg.letterFolder())
	fmt.Fprint(out, "A server of yours on this machine is told of it by a webhook: docs/api.md, Webhooks. Or try: tranzit webhook receive.\n")
	fmt.Fprint(out, "Other cards make the bank decline, stay silent or answer late: tranzit bank --help.\n")
}

// printPage makes a checkout session and says where a buyer pays it.
func printPage(out io.Writer, a *app) error {
	account, err := a.core.AccountOf("mer_demo", false)
	if err != nil {
		return err
	}
	order := "D-" + time.Now().UTC().Format("20060102-150405")
	session, _, err := a.core.CreateCheckout(account, &payswitch.CheckoutRequest{IdempotencyKey: "demo/" + order,
		Wish: payswitch.Checkout{Amount: 129900, Currency: "RUB", OrderID: order, Description: "Two pairs of woollen socks", Customer: "demo-buyer"}})
	if err != nil {
		return fmt.Errorf("the demo's checkout session: %w", err)
	}
	fmt.Fprintf(out, "Or pay as a buyer does, in a browser, with card 4111 1111 1111 1111, any code and any date to come\n(4000 0000 0300 0009 asks for 3-D Secure):\n\n  %s\n", a.pages.URL(session.ID))
	return nil
}

// payLine is a curl call that can be pasted any number of times.
func payLine(api net.Addr) string {
	return fmt.Sprintf(`  curl -s -u %s: http://%s/v1/payments \
    -H 'Content-Type: application/json' -H "Idempotency-Key: $(date +%%s%%N)" \
    -d '{"amount": 129900, "currency": "RUB", "order_id": "A-1001",
         "payment_method": {"type": "card", "card": {"number": "4111111111111111",
           "exp_month": 12, "exp_year": %d, "cvc": "123", "holder": "I PETROV"}}}'`, demoKey, api, time.Now().Year()+2)
}

// The demo's user of the cabinet, who owns the demo merchant in test mode.
const (
	demoUser     = "owner@demo.example"
	demoPassword = "calm-harbour-demo"
)

var demoOperators = []string{"anna@demo.example", "boris@demo.example"}

// printCabinet makes the demo's user in the first run, and tells how to sign in.
func (a *app) printCabinet(out io.Writer) error {
	merchant := a.cfg.Merchants[0].ID
	u, err := a.people.Find(demoUser)
	var made people.Authenticator
	if err != nil {
		u, _, err = a.people.Invite(people.Invitation{Email: demoUser, Grants: []people.Grant{{Merchant: merchant, Role: people.RoleOwner}}, By: "demo"})
		if err == nil {
			made, err = a.people.Settle(u.ID, "Demo Owner", demoPassword)
		}
	}
	if err != nil {
		return fmt.Errorf("the demo's user: %w", err)
	}
	word, err := a.people.EntryLink(u.ID)
	if err != nil {
		return fmt.Errorf("the demo's user: %w", err)
	}
	fmt.Fprintf(out, "\nThe cabinet, where %s's people see every payment:\n\n  %s\n\n  in at once, this link works once: %s/enter/%s\n", merchant, a.cabinetAt(), a.cabinetAt(), word)
	if made.Secret != "" {
		fmt.Fprintf(out, "  or as %s with password %s\n  and the codes of an authenticator that was given the key %s\n", demoUser, demoPassword, made.Secret)
	} else {
		fmt.Fprintf(out, "  or as %s, as you did before\n", demoUser)
	}
	return a.printOperators(out)
}

// printOperators makes the demo's operators in the first run, and a link for each to
// the applications of shops. Two of them make a shop live.
func (a *app) printOperators(out io.Writer) error {
	fmt.Fprintf(out, "\nThe operators' side of it; it takes two of them to make a shop live. Each link works once:\n\n")
	for _, email := range demoOperators {
		u, err := a.people.Find(email)
		if err != nil {
			if u, _, err = a.people.InviteOperator(email, "demo"); err == nil {
				_, err = a.people.Settle(u.ID, "Demo Operator", demoPassword)
			}
		}
		var word string
		if err == nil {
			word, err = a.people.EntryLink(u.ID)
		}
		if err != nil {
			return fmt.Errorf("the demo's operator %s: %w", email, err)
		}
		fmt.Fprintf(out, "  %s  %s/enter/%s\n", email, a.cabinetAt(), word)
	}
	return nil
}
