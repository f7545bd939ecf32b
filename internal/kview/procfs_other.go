//go:build !linux

package kview

import "errors"

// system: without /proc there is nothing to fill a view from, and New says so.
type system struct{}

func (*system) open(*byte) (int, error)                  { return 0, errors.ErrUnsupported }
func (*system) close(int)                                {}
func (*system) readAt(int, []byte, int) (int, error)     { return 0, errors.ErrUnsupported }
func (*system) readLink(int, *byte, []byte) (int, error) { return 0, errors.ErrUnsupported }
func (*system) openPlace(*byte) (int, error)             { return 0, errors.ErrUnsupported }
func (*system) stat(int, *byte, *fileStat) error         { return errors.ErrUnsupported }
func (*system) statCached(int, *byte, *fileStat) error   { return errors.ErrUnsupported }
func (*system) magic(*byte) (uint64, error)              { return 0, errors.ErrUnsupported }
func (*system) xattr(*byte, *byte, []byte) (int, error)  { return 0, errors.ErrUnsupported }
func (*system) openTask(int) (int, error)                { return 0, errors.ErrUnsupported }
func (*system) task(int, *taskInfo) error                { return errors.ErrUnsupported }
func (*system) changed(int) bool                         { return false }
func (*system) anyFrom(int, uint32) (bool, error)        { return false, errors.ErrUnsupported }

func sharedMemory() (shared, huge uint32, err error) { return 0, 0, errors.ErrUnsupported }
func handleLimit() int                               { return minHandles }
func suspended() int64                               { return 0 }
