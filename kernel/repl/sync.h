/*
 * The SYNC IOCTLs' work on files. Called without the control lock, at PASSIVE_LEVEL.
 */
#pragma once

#include "control.h"

RPL_HANDLER RplSyncFolder;
RPL_HANDLER RplSyncFile;
RPL_HANDLER RplSyncRange;
RPL_HANDLER RplReadRange;
