"""What the reference code does: one scikit-learn regression per pixel, one star at a time."""

import numpy as np
from joblib import Parallel, delayed
from scipy.optimize import least_squares
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.svm import SVR

from slamlib.regression.kernel import rbf
from slamlib.regression.slam import Slam


def train_per_pixel(z, targets, n_jobs=2):
    """Search C and gamma of each pixel by cross-validation and fit it: astroslam's way.

    Parameters
    ----------
    z : ndarray, (n, 4)
        Standardised labels.
    targets : ndarray, (n, n_pix)
        Standardised flux.
    n_jobs : int
        Processes.

    Returns
    -------
    list of sklearn.model_selection.GridSearchCV, (n_pix,)
    """
    slam = Slam()
    grid = {"C": list(slam.C), "gamma": list(slam.gamma)}
    folds = KFold(slam.n_folds, shuffle=True, random_state=0)

    def fit(target):
        svr = SVR(kernel="rbf", epsilon=slam.epsilon)
        return GridSearchCV(svr, grid, cv=folds, scoring="neg_mean_squared_error").fit(z, target)

    return Parallel(n_jobs=n_jobs)(delayed(fit)(target) for target in targets.T)


def label_one_star(slam, templates, flux, ivar):
    """Labels of one star by `scipy.optimize.least_squares`, the model evaluated pixel by pixel.

    Starts from the nearest training spectrum, as `slamlib.inference.infer` does; derivatives by
    finite differences.

    Parameters
    ----------
    slam : Slam
        In its exact form.
    templates : ndarray, (n, n_pix)
        Its prediction at the training labels.
    flux, ivar : ndarray, (n_pix,)

    Returns
    -------
    ndarray, (4,)
    """
    used = ivar > 0
    weight = 1 / np.sqrt(1 / ivar[used] + slam.model_variance_[used])
    pixels = [
        (part.centres, part.gamma, part.weights[:, column], pixel)
        for part in slam.expansions_
        for column, pixel in enumerate(part.pixels)
    ]

    def model(z):
        value = np.empty(flux.size)
        for centres, gamma, weights, pixel in pixels:
            value[pixel] = (rbf(z[None], centres, gamma) @ weights)[0]
        return slam.flux_mean_ + slam.flux_scale_ * (value + slam.intercept_)

    misfit = ((templates[:, used] - flux[used]) * weight) ** 2
    start = slam.to_standard(slam.training_labels_[misfit.sum(axis=1).argmin()])
    found = least_squares(lambda z: (model(z) - flux)[used] * weight, start, x_scale="jac")
    return slam.label_mean_ + slam.label_scale_ * found.x
