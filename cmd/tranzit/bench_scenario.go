package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/scenarios"
)

const arrivalsHelp = `  constant:1000        1,000 per second, evenly
  poisson:1000@20s     1,000 per second at random, for 20 s
  burst:500/250ms@10s  500 at once every 250 ms, for 10 s
  ramp:100..5000@30s   from 100 to 5,000 per second within 30 s
with commas between them; only the last may leave its duration out.`

// scenarioFlags are the flags of a load that is more than one rate.
type scenarioFlags struct {
	scenario string
	speed    float64
}

func (f *scenarioFlags) add(c *cobra.Command, o *bench.Options) {
	flags := c.Flags()
	flags.Var((*arrivalsFlag)(&o.Arrivals), "arrivals", "phases of the open loop, such as poisson:500@10s,ramp:500..5000@20s")
	flags.BoolVar(&o.RetryLost, "retry", false, "repeat requests that got no answer, with their keys")
	flags.StringVar(&f.scenario, "scenario", "", "embedded scenario or YAML file")
	flags.Float64Var(&f.speed, "speed", 1, "with --scenario: factor on every rate; --duration stretches the whole")
	flags.IntVar(&o.Kills, "kill", 0, "kill the switch with SIGKILL so many times under load; lost requests are repeated")
	c.MarkFlagsMutuallyExclusive("arrivals", "rate", "scenario")
	c.MarkFlagsMutuallyExclusive("kill", "target")
	c.PreRun = func(*cobra.Command, []string) { o.RetryLost = o.RetryLost || o.Kills > 0 }
}

// arrivalsFlag reads phases from one line.
type arrivalsFlag []bench.Phase

// String implements pflag.Value.
func (a *arrivalsFlag) String() string {
	text := ""
	for i, p := range *a {
		if i > 0 {
			text += ","
		}
		text += p.String()
	}
	return text
}

// Set implements pflag.Value.
func (a *arrivalsFlag) Set(text string) error {
	phases, err := bench.ParseArrivals(text)
	*a = phases
	return err
}

// Type implements pflag.Value.
func (*arrivalsFlag) Type() string { return "phases" }

// prepareScenario fills in what a scenario says and, unless a target is given, the
// processes to start.
func prepareScenario(o *bench.Options, f benchFlags) (cleanup func(), err error) {
	if f.bare || f.plain {
		return nil, usageError{errors.New("--scenario needs a switch; --bare and --plain are none")}
	}
	s, err := scenarios.Load(f.scenario)
	if err != nil {
		return nil, err
	}
	if f.speed <= 0 {
		return nil, usageError{errors.New("--speed must be above 0")}
	}
	if s.Scale(f.speed); o.Duration > 0 {
		s.Fit(o.Duration)
	}
	if o.Warmup > 0 {
		s.Warmup = o.Warmup
	}
	if o.Connections > 0 {
		s.Connections = o.Connections
	}
	s.Retry = s.Retry || o.RetryLost
	if o.Workers > 1 {
		s.Workers = o.Workers
	}
	if o.Target != "" {
		return func() {}, s.Aim(o)
	}
	dir, err := os.MkdirTemp(f.data, "tranzit-bench-")
	if err != nil {
		return nil, err
	}
	cleanup = func() { _ = os.RemoveAll(dir) }
	if f.keep {
		cleanup = func() { fmt.Fprintf(os.Stderr, "data in %s\n", dir) }
	}
	if err := s.Prepare(dir, o); err != nil {
		cleanup()
		return nil, err
	}
	return cleanup, nil
}

// isTerminal: what is written there may be drawn over.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

func benchScenariosCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "scenarios [NAME]",
		Short: "List the scenarios that come with the program, or print one as YAML",
		Long: `Scenarios lists the loads that tranzit bench run --scenario NAME knows by name.
With a name it prints that one: the start of a file of your own.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) == 1 {
				text, ok := scenarios.Text(names[0])
				if !ok {
					return fmt.Errorf("no scenario %q; tranzit bench scenarios lists them", names[0])
				}
				_, err := cmd.OutOrStdout().Write(text)
				return err
			}
			return listScenarios(cmd.OutOrStdout(), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func listScenarios(to io.Writer, asJSON bool) error {
	type line struct {
		Name     string  `json:"name"`
		Seconds  float64 `json:"seconds"`
		Merchant int     `json:"merchants"`
		Banks    int     `json:"banks"`
		About    string  `json:"about"`
	}
	var lines []line
	for _, name := range scenarios.Names() {
		s, err := scenarios.Load(name)
		if err != nil {
			return err
		}
		merchants := 0
		for _, m := range s.Merchants {
			merchants += m.Count
		}
		lines = append(lines, line{name, s.Duration().Seconds(), merchants, len(s.Banks), s.About})
	}
	if asJSON {
		return printJSON(to, lines)
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.Name, time.Duration(l.Seconds*float64(time.Second)), l.About)
	}
	return w.Flush()
}
