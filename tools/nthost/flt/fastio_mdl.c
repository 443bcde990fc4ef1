/*
 * Reads and writes that hand out the cache's pages: IRP_MJ_MDL_READ, IRP_MJ_PREPARE_MDL_WRITE and
 * their ends; see fastio.c.
 *
 * WDK: FltFastIoMdlRead, FltFastIoPrepareMdlWrite.
 */
#include "fastio.h"

static void bottom_take(struct flt_op *op)
{
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    LARGE_INTEGER offset = iopb->Parameters.MdlRead.FileOffset;
    PFAST_IO_MDL_READ below = iopb->MajorFunction == IRP_MJ_MDL_READ
                                  ? FAST_BELOW(op->volume, MdlRead)
                                  : FAST_BELOW(op->volume, PrepareMdlWrite);
    fast_done(op, below && below(iopb->TargetFileObject, &offset, iopb->Parameters.MdlRead.Length,
                                 iopb->Parameters.MdlRead.Key, iopb->Parameters.MdlRead.MdlChain,
                                 &flt_data(op)->IoStatus, op->volume->below));
}

static BOOLEAN take(UCHAR major, PFILE_OBJECT file, PLARGE_INTEGER offset, ULONG length, ULONG key,
                    PMDL *chain, PIO_STATUS_BLOCK iosb, PFLT_VOLUME volume)
{
    struct fast_call call = {.wait = TRUE};
    struct flt_op *op = fast_begin(volume, file, major, 0, &call);
    if (op == NULL)
        return FALSE;
    flt_iopb(op)->Parameters.MdlRead.FileOffset = *offset;
    flt_iopb(op)->Parameters.MdlRead.Length = length;
    flt_iopb(op)->Parameters.MdlRead.Key = key;
    flt_iopb(op)->Parameters.MdlRead.MdlChain = chain;
    return fast_run(op, bottom_take, iosb);
}

static BOOLEAN NTAPI fast_mdl_read(PFILE_OBJECT file, PLARGE_INTEGER offset, ULONG length,
                                   ULONG key, PMDL *chain, PIO_STATUS_BLOCK iosb,
                                   PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_MDL_READ below = FAST_BELOW(volume, MdlRead);
    if (!fast_is_handled(volume, IRP_MJ_MDL_READ))
        return below && below(file, offset, length, key, chain, iosb, volume->below);
    return take(IRP_MJ_MDL_READ, file, offset, length, key, chain, iosb, volume);
}

static BOOLEAN NTAPI fast_prepare_mdl_write(PFILE_OBJECT file, PLARGE_INTEGER offset, ULONG length,
                                            ULONG key, PMDL *chain, PIO_STATUS_BLOCK iosb,
                                            PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_PREPARE_MDL_WRITE below = FAST_BELOW(volume, PrepareMdlWrite);
    if (!fast_is_handled(volume, IRP_MJ_PREPARE_MDL_WRITE))
        return below && below(file, offset, length, key, chain, iosb, volume->below);
    return take(IRP_MJ_PREPARE_MDL_WRITE, file, offset, length, key, chain, iosb, volume);
}

static void bottom_read_complete(struct flt_op *op)
{
    PFAST_IO_MDL_READ_COMPLETE below = FAST_BELOW(op->volume, MdlReadComplete);
    fast_done(op,
              below && below(flt_iopb(op)->TargetFileObject,
                             flt_iopb(op)->Parameters.MdlReadComplete.MdlChain, op->volume->below));
}

static BOOLEAN NTAPI fast_mdl_read_complete(PFILE_OBJECT file, PMDL chain, PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_MDL_READ_COMPLETE below = FAST_BELOW(volume, MdlReadComplete);
    struct fast_call call = {.wait = TRUE};
    if (!fast_is_handled(volume, IRP_MJ_MDL_READ_COMPLETE))
        return below && below(file, chain, volume->below);
    struct flt_op *op = fast_begin(volume, file, IRP_MJ_MDL_READ_COMPLETE, 0, &call);
    if (op == NULL)
        return FALSE;
    flt_iopb(op)->Parameters.MdlReadComplete.MdlChain = chain;
    return fast_run(op, bottom_read_complete, NULL);
}

static void bottom_write_complete(struct flt_op *op)
{
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    LARGE_INTEGER offset = iopb->Parameters.MdlWriteComplete.FileOffset;
    PFAST_IO_MDL_WRITE_COMPLETE below = FAST_BELOW(op->volume, MdlWriteComplete);
    fast_done(op, below && below(iopb->TargetFileObject, &offset,
                                 iopb->Parameters.MdlWriteComplete.MdlChain, op->volume->below));
}

static BOOLEAN NTAPI fast_mdl_write_complete(PFILE_OBJECT file, PLARGE_INTEGER offset, PMDL chain,
                                             PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_MDL_WRITE_COMPLETE below = FAST_BELOW(volume, MdlWriteComplete);
    struct fast_call call = {.wait = TRUE};
    if (!fast_is_handled(volume, IRP_MJ_MDL_WRITE_COMPLETE))
        return below && below(file, offset, chain, volume->below);
    struct flt_op *op = fast_begin(volume, file, IRP_MJ_MDL_WRITE_COMPLETE, 0, &call);
    if (op == NULL)
        return FALSE;
    flt_iopb(op)->Parameters.MdlWriteComplete.FileOffset = *offset;
    flt_iopb(op)->Parameters.MdlWriteComplete.MdlChain = chain;
    return fast_run(op, bottom_write_complete, NULL);
}

void flt_fast_io_mdls(PFAST_IO_DISPATCH table)
{
    table->MdlRead = fast_mdl_read;
    table->MdlReadComplete = fast_mdl_read_complete;
    table->PrepareMdlWrite = fast_prepare_mdl_write;
    table->MdlWriteComplete = fast_mdl_write_complete;
}
