package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"
	"time"

	"connectrpc.com/connect"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/coatcheck/coatcheck/internal/upload"
)

type uploadCommand struct {
	Files       []string      `arg:"" name:"file" type:"existingfile" help:"Files to upload."`
	Claim       string        `placeholder:"WHAT" help:"Confirm each file as held by this, such as \"post/123\". What is not confirmed is swept."`
	Server      string        `env:"COATCHECK_SERVER" default:"http://127.0.0.1:8080" help:"Base URL of the service."`
	Token       string        `env:"COATCHECK_TOKEN" help:"Service token. Best given by the environment: a command line can be read by others."`
	Owner       string        `env:"COATCHECK_OWNER" help:"Owner to act for; needed with a token."`
	ContentType string        `name:"content-type" placeholder:"TYPE" help:"Media type of the files, instead of what their names say."`
	Wait        time.Duration `default:"2m" help:"How long to wait for each upload to be known to the service."`
}

func (c *uploadCommand) Run(ctx context.Context, s streams) error {
	client := upload.NewClient(upload.Config{Server: c.Server, Token: c.Token, Owner: c.Owner, Wait: c.Wait})
	failed := 0
	for _, path := range c.Files {
		if err := c.one(ctx, s, client, path); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintf(s.err, "%s: %v\n", path, explained(err))
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d files were not uploaded", failed, len(c.Files))
	}
	return nil
}

// explained is the refusal's own sentence where the service sent one.
func explained(err error) error {
	if refusal, ok := errors.AsType[*connect.Error](err); ok {
		return fmt.Errorf("%s (%s)", refusal.Message(), refusal.Code())
	}
	return err
}

func (c *uploadCommand) one(ctx context.Context, s streams, client *upload.Client, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	bar := progress(s.err, filepath.Base(path), info.Size())
	began := time.Now()
	media, err := client.Upload(ctx, upload.File{
		Content: file, SizeBytes: info.Size(), Name: filepath.Base(path), ContentType: c.contentType(path),
		OnProgress: func(sent int64) { _ = bar.Set64(sent) },
	})
	_ = bar.Exit()
	if err != nil {
		return err
	}
	if c.Claim != "" {
		id := media.GetId()
		if media, err = client.Confirm(ctx, id, c.Claim); err != nil {
			return fmt.Errorf("uploaded as media %s, but not claimed: %w", id, explained(err))
		}
	}
	_, err = fmt.Fprintf(s.out, "%s  %s  %s  %s  %s\n", media.GetId(), upload.StateName(media.GetState()), media.GetKey(),
		time.Since(began).Round(time.Millisecond), path)
	return err
}

func (c *uploadCommand) contentType(path string) string {
	if c.ContentType != "" {
		return c.ContentType
	}
	// Without parameters such as charset: they are a guess.
	essence, _, err := mime.ParseMediaType(mime.TypeByExtension(filepath.Ext(path)))
	if err != nil || essence == "" {
		return "application/octet-stream"
	}
	return essence
}

// progress is a bar on a terminal, and nothing elsewhere.
func progress(w io.Writer, name string, size int64) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(name), progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(65*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetVisibility(ok && term.IsTerminal(int(f.Fd()))),
	)
}
