package awsemu

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/blob"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/journal"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/s3"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/sqs"
)

// lockDir makes the folder and keeps other processes out of it.
func (s *Server) lockDir() error {
	if s.cfg.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making the emulator's folder: %w", err)
	}
	var err error
	s.lock, err = journal.Lock(s.cfg.Dir)
	return err
}

func (s *Server) unlock() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// restore replays the journal, writes it anew without what has been overtaken, and removes bodies that nothing
// refers to.
func (s *Server) restore(blobs *blob.Store) error {
	if s.cfg.Dir == "" {
		return nil
	}
	err := journal.Replay(s.cfg.Dir, func(data []byte) error {
		var line struct {
			S3  *s3.Record  `json:"s3"`
			SQS *sqs.Record `json:"sqs"`
		}
		if err := json.Unmarshal(data, &line); err != nil {
			return err
		}
		if line.SQS != nil {
			s.sqs.Replay(line.SQS)
		}
		if line.S3 != nil {
			return s.s3.Replay(line.S3, s.sqs.Inject)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.journal, err = journal.Rewrite(s.cfg.Dir, func(write func(v any) error) error {
		if err := s.sqs.Snapshot(write); err != nil {
			return err
		}
		return s.s3.Snapshot(write)
	})
	if err != nil {
		return err
	}
	s.sqs.Keep(s.journal)
	s.s3.Keep(s.journal)
	if err := blobs.Sweep(s.s3.Bodies()); err != nil {
		return fmt.Errorf("removing bodies that nothing refers to: %w", err)
	}
	return nil
}
