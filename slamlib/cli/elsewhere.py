"""Files of one instrument, labelled on a Dask cluster instead of in this process."""

from functools import partial

LOCAL = "local"


def label_elsewhere(address):
    """Return what labels on the cluster at `address`, for `label_files` to call in place of `label_here`.

    Parameters
    ----------
    address : str
        Of a Dask scheduler, such as "tcp://10.0.0.1:8786"; "local" starts a cluster of this
        machine's cores.
    """
    return partial(_label, None if address == LOCAL else address)


def _label(address, paths, instrument, models, progress):
    # Dask is optional: only who asks for a cluster needs it.
    from slamlib.labelling.cluster.merge import read_catalogue
    from slamlib.labelling.cluster.run import label_cluster

    labellers = {"krr": models.path(instrument)}
    output = models.folder / "parts" / f"{instrument}.parquet"
    label_cluster(paths, labellers, output, address=address, progress=progress)
    return read_catalogue(output)
