package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/awsclient"
)

type serveCommand struct {
	Roles  []string `env:"COATCHECK_ROLES" default:"api,consumer,sweeper,reconciler" placeholder:"ROLE" help:"What this process does: ${default}, or some of them. Each scales on its own, and any number of each may run."`
	Listen string   `env:"COATCHECK_LISTEN" default:":8080" help:"Address for the API (with role api), /healthz, /readyz and /metrics. Let the public reach the API's paths only."`

	Tokens     string `env:"COATCHECK_TOKENS" group:"API" placeholder:"LINES" help:"Service tokens that are let in: lines of \"name tenant sha256:hex\", as \"coatcheck token\" prints them; an operator's have the tenant \"*\". Needed by the api role, here or in a file."`
	TokensFile string `name:"tokens-file" env:"COATCHECK_TOKENS_FILE" type:"path" group:"API" help:"The same, from a file."`

	databaseSettings   `embed:""`
	bucketSettings     `embed:""`
	windowSettings     `embed:""`
	apiSettings        `embed:""`
	consumerSettings   `embed:""`
	sweepSettings      `embed:""`
	reconcilerSettings `embed:""`
	logSettings        `embed:""`
}

func (c *serveCommand) Run(ctx context.Context, s streams) error {
	if err := checkRoles(c.Roles); err != nil {
		return err
	}
	config := programConfig{
		Roles: c.Roles, Listen: c.Listen, Database: c.databaseSettings, Bucket: c.bucketSettings, Windows: c.windowSettings,
		API: c.apiSettings, Consumer: c.consumerSettings, Sweep: c.sweepSettings, Reconcile: c.reconcilerSettings, Logger: c.logger(s),
	}
	if slices.Contains(c.Roles, "api") {
		tokens, err := c.tokens()
		if err != nil {
			return err
		}
		config.Authenticate = tokens.Authenticate
	}
	if slices.Contains(c.Roles, "consumer") && c.QueueURL == "" {
		return errors.New("--queue-url (COATCHECK_QUEUE_URL) is not set: the consumer role needs it")
	}
	aws, err := awsclient.Load(ctx, awsclient.Config{Region: c.AWSRegion, Endpoint: c.AWSEndpoint})
	if err != nil {
		return err
	}
	program, err := newProgram(ctx, config, aws)
	if err != nil {
		return err
	}
	return program.Run(ctx)
}

func (c *serveCommand) tokens() (auth.Tokens, error) {
	switch {
	case c.Tokens != "" && c.TokensFile != "":
		return nil, errors.New("--tokens and --tokens-file are both set: give one of them")
	case c.Tokens != "":
		return auth.ParseTokens(strings.NewReader(c.Tokens))
	case c.TokensFile != "":
		f, err := os.Open(c.TokensFile)
		if err != nil {
			return nil, fmt.Errorf("opening the service tokens: %w", err)
		}
		defer f.Close()
		return auth.ParseTokens(f)
	}
	return nil, errors.New("no service tokens: the api role needs --tokens (COATCHECK_TOKENS) or --tokens-file; make one with `coatcheck token --tenant NAME`")
}
